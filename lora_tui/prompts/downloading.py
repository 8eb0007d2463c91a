"""Downloading the base model by prompts: asked first, told now and then, stopped with Ctrl-C."""

from __future__ import annotations

import time

from engine.plan.errors import UserError, inert
from engine.runs import control, launch
from engine.runs.folder import RunFolder
from engine.runs.state import RunView
from lora_tui import downloads
from lora_tui.aside import or_error
from lora_tui.follow import POLL_SECONDS, count_interrupts
from lora_tui.progress import how_far
from lora_tui.prompts.talk import Talk


def download(what: str, talk: Talk) -> str:
    """Bring it here; returns what the option is then given, "" where it did not come."""

    def start() -> RunFolder:
        run, _ = downloads.make_run(what)
        launch.launch(run)
        return run

    run = or_error(start, "The download could not be started")
    if isinstance(run, UserError):
        talk.say(f"Error: {run}")
        return ""
    talk.say("Downloading. Ctrl-C stops it; what has come is kept.")
    view, stopping = RunView(run), False
    with count_interrupts() as presses:
        while not (seen := view.refresh()).over:
            if presses() and not stopping:
                stopping = True
                talk.say("Stopping.")
                control.send(run, "stop")
            elif not stopping and (far := how_far(seen)):
                talk.say_sometimes(f"{far}.")
            time.sleep(POLL_SECONDS)
    mark, said = downloads.how_it_ended(seen)
    talk.say(f"Error: {said}" if mark == "x" else said)
    return downloads.setting_for(what, run) if seen.state == "finished" else ""


def offered(what: str, talk: Talk) -> str | None:
    """Ask whether to download it, and do so; None where it is only to be noted down."""
    talk.say(f"{inert(what)} is not on this machine. Downloading puts it {downloads.outlook(what)}.")
    return download(what, talk) if talk.sure("Download it?") else None
