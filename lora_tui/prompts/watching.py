"""A run read aloud: at most a line every ten seconds for its steps, and one for whatever else happens."""

from __future__ import annotations

import re
import time

from engine.runs.folder import RunFolder
from engine.runs.state import Observation
from lora_tui import plain
from lora_tui.follow import count_interrupts
from lora_tui.prompts.talk import Talk

STEP_SECONDS = 10.0
_STEP = re.compile(r"(\d\d:\d\d:\d\d )?step \d+ of")


def watch(run: RunFolder, talk: Talk) -> Observation:
    """Say what happens until the run is over, or until Ctrl-C; the run goes on then."""
    said = 0.0

    def say(text: str) -> None:
        nonlocal said
        if _STEP.match(text):
            if time.monotonic() - said < STEP_SECONDS:
                return
            said = time.monotonic()
        talk.say(text)

    with count_interrupts() as presses:
        talk.say("You hear how it goes. Ctrl-C ends that; the training goes on.")
        seen = plain.follow(run, say, lambda: presses() > 0)
    if not seen.over:
        talk.say("You hear no more of it. The training goes on.")
    return seen
