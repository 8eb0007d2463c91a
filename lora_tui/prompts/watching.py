"""A run read aloud: at most a line every ten seconds for its steps, and one for whatever else happens."""

from __future__ import annotations

from engine.runs.folder import RunFolder
from lora_tui import plain
from lora_tui.follow import count_interrupts
from lora_tui.prompts.talk import Talk

STEP_SECONDS = 10.0


def watch(run: RunFolder, talk: Talk) -> None:
    """Say what happens until the run is over, or until Ctrl-C; the run goes on then."""
    with count_interrupts() as presses:
        talk.say("You hear how it goes. Ctrl-C ends that; the training goes on.")
        seen = plain.follow(run, talk.say, lambda: presses() > 0, step_seconds=STEP_SECONDS)
    if not seen.over:
        talk.say("You hear no more of it. The training goes on.")
