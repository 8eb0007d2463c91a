"""Downloading the base model from its step in the wizard: the question, how far it is, and stopping it.

The engine does it in a run of its own, so leaving the app does not end it: whoever comes back sees it go on. Stopped or
killed, it goes on when it is asked for again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from textual.timer import Timer

from engine.plan.errors import UserError, inert
from engine.runs import control, launch
from engine.runs.folder import RunFolder
from engine.runs.state import RunView
from lora_tui import downloads
from lora_tui.aside import aside, or_error
from lora_tui.progress import how_far
from lora_tui.screens.dialogs import Choice, Question

if TYPE_CHECKING:
    from lora_tui.screens.wizard_page import WizardPage

TICK_SECONDS = 0.5


class Download:
    """At most one at a time, for `page`. `taken(text)`: it is here, and this is what the setting is given. `arrived()`:
    one is here that was begun before this page, perhaps for another project."""

    def __init__(self, page: WizardPage, taken: Callable[[str], None], arrived: Callable[[], None]) -> None:
        self._page, self._taken, self._arrived = page, taken, arrived
        self._of_before = False
        self._what = self._title = ""
        self._view: RunView | None = None
        self._timer: Timer | None = None
        self._stopping = False

    @property
    def busy(self) -> bool:
        return bool(self._what)

    def offer(self, what: str, otherwise: Callable[[str], None]) -> None:
        """Ask whether to download it; `otherwise(what)`: it is only to be noted down."""
        if self.busy:
            self._page.say("!", f"{self._title} is being downloaded; {self._stop_key} stops that first.")
            return

        def answered(answer: str | None) -> None:
            if answer == "yes":
                self._begin(what)
            elif answer == "note":
                otherwise(what)

        choices = [
            Choice("yes", "Download it", downloads.outlook(what)),
            Choice("note", "Only note it down", "the training is refused until it is there"),
            Choice("", "Leave it"),
        ]
        self._page.app.push_screen(Question(f"Download {inert(what)}?", choices), answered)

    def find(self) -> None:
        """Go on with showing one that an app before this one has begun."""

        def found(going: tuple[RunFolder, str, str] | None) -> None:
            if going is not None and not self.busy and self._page.is_attached:
                run, self._what, self._title = going
                self._stopping, self._of_before = False, True
                self._started(run)

        aside(downloads.at_work, found)

    def stop(self) -> None:
        """Ask the engine to stop; what has come is kept."""
        self._stopping = True
        if self._view is not None:
            try:
                control.send(self._view.run, "stop")
            except (UserError, OSError) as error:
                self._page.say("x", str(error))
                return
        self._page.say("ok", "Stopping…")

    @property
    def _stop_key(self) -> str:
        return self._page.key("home")

    def _begin(self, what: str) -> None:
        self._what, self._title, self._stopping, self._of_before = what, what, False, False
        self._page.say("ok", f"Beginning to download {inert(what)}…")

        def start() -> RunFolder:
            run, self._title = downloads.make_run(what)
            launch.launch(run)
            return run

        aside(lambda: or_error(start, "The download could not be started"), self._started)

    def _started(self, run: RunFolder | UserError) -> None:
        if isinstance(run, UserError):
            self._over("x", str(run))
            return
        self._view = RunView(run)
        if self._stopping:
            self.stop()
        self._timer = self._page.set_interval(TICK_SECONDS, self._tick)

    def _tick(self) -> None:
        if self._view is None:
            return
        seen = self._view.refresh()
        if seen.over:
            what = self._what
            said = downloads.how_it_ended(seen)
            self._over(*said)
            if seen.state == "finished" and self._of_before:
                self._arrived()
            elif seen.state == "finished" and (text := downloads.setting_for(what, self._view.run)):
                self._taken(text)
            self._view = None
        elif not self._stopping and not self._page.typing:
            far = how_far(seen)
            done = f": {far}." if far else "…"
            self._page.say("ok", f"Downloading {inert(self._title)}{done} {self._stop_key} stops it.")

    def _over(self, mark: str, sentence: str) -> None:
        self._what = ""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        self._page.say(mark, sentence)
