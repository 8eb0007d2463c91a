"""What the dashboard asks before it asks the engine: the words, and what each answer stands for."""

from __future__ import annotations

from pathlib import Path

from engine.plan.errors import Finding, inert
from lora_tui.resuming import heading
from lora_tui.screens.dialogs import Ask, Choice, Question

MORE_EPOCHS = 2  # proposed for a run that is finished


def pause() -> Question:
    """Answers "keep" or "release" (the GPU's memory), or ""."""
    choices = [
        Choice("keep", "Pause", "keeps its GPU memory and goes on at once"),
        Choice("release", "Pause and give the GPU memory back", "for other work; going on takes some seconds"),
        Choice("", "No, go on training"),
    ]
    return Question("Pause the training?", choices)


def stop(dry_run: bool = False) -> Question:
    """Answers with the command, "stop" or "stop-after-epoch", or ""."""
    if dry_run:
        choices = [Choice("", "No, go on"), Choice("stop", "Stop now", "a dry run saves nothing")]
        return Question("Stop the dry run?", choices)
    choices = [
        Choice("", "No, go on"),
        Choice("stop", "Stop now", "after this step; saves, and can be resumed"),
        Choice("stop-after-epoch", "Stop after this epoch", "with a LoRA of the whole epoch"),
    ]
    return Question("Stop the training?", choices)


def all_the_same(finding: Finding) -> Question:
    """Answers "yes" to go on where that is known to fail on this machine, or to be slow there, or ""."""
    choices = [Choice("", "No, I mend it first", str(finding)), Choice("yes", "Go on all the same")]
    return Question(heading(finding), choices)


def make_folder(folder: Path) -> Question:
    """Answers "yes" to make the folder that the LoRA was to be copied to, or ""."""
    choices = [Choice("", "No"), Choice("yes", "Make it, and copy the LoRA there")]
    return Question(f"There is no folder {inert(folder)}", choices)


def sample(prompt: str) -> Ask:
    """Answers with a prompt, or with "" or None."""
    return Ask("A sample now", prompt, "Drawn with the LoRA as it is now. What should it show?")


def more_epochs(done: int) -> Ask:
    """Answers with how many epochs a finished run is to have in all, as it was typed, or with "" or None."""
    detail = f"It has done its {done}. How many is it to have in all? It goes on from its last state."
    return Ask("More epochs", str(done + MORE_EPOCHS), detail)
