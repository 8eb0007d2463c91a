"""The GPU to plan for by prompts: another than this machine's, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.plan.errors import UserError
from engine.plan.gpu_catalogue import named
from lora_tui.hardware import plan_for, planned

if TYPE_CHECKING:
    from lora_tui.prompts.step import PlainStep

HERE = "here"


def plan_for_gpu(step: PlainStep, text: str) -> None:
    """Plan for the GPU that is typed, or that is asked for; the project is judged anew by it."""
    talk, card = step.talk, planned()
    now = card.name if card is not None else "this machine"
    wanted = text or talk.ask("Which GPU, such as RTX 3060 12 GB, or here for this machine?", f"keeps {now}")
    if not wanted:
        return
    try:
        card = None if wanted.casefold() == HERE else named(wanted)
        plan_for(card)
    except UserError as error:
        talk.say(f"Error: {error}")
        return
    step.walk.wizard.look_again()
    told = f"{card.name}: {card.facts}" if card is not None else "this machine"
    talk.say(f"Planned for {told}. This counts in every project; memory says what it means here.")
