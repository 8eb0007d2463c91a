"""One run of a job beside training, such as captions or regularisation pictures: how far it is and what it has said.

It only reads, as the dashboard of a training does; of what belongs to a training it shows nothing.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.css.query import NoMatches

from engine.plan.errors import inert
from engine.runs.captions import DoneReader
from engine.runs.events import SLICE_EVENTS
from engine.runs.folder import RunFolder
from engine.runs.state import Observation, RunView
from lora_tui.job_kinds import kind_in_words, state_in_words
from lora_tui.job_runs import ask_to_stop, how_it_ended
from lora_tui.progress import activity, at_work
from lora_tui.screens import sentences
from lora_tui.screens.asked import names_of, project_of
from lora_tui.screens.log import LogScreen, LogTail
from lora_tui.screens.log import panel as log_panel
from lora_tui.screens.page import Page
from lora_tui.screens.samples import SamplesScreen
from lora_tui.screens.series import Gallery
from lora_tui.screens.written import caption_rows
from lora_tui.widgets.hints import Hints
from lora_tui.widgets.lines import Lines
from lora_tui.widgets.paint import DIM, PLAIN, STRONG, bar, line
from lora_tui.widgets.status import Status

LOOK_SECONDS = 0.5
BAR_CELLS = 24
FRAME_ROWS = 7  # what stands around the newest captions


class JobScreen(Page[None]):
    """Follows `run`. `clock` and `steady` as in RunView."""

    CSS_PATH = "job.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "stop", "stop", id="stop", tooltip="Ask the engine to stop; what is there stays."),
        Binding("g", "samples", "pictures", id="samples", tooltip="The pictures it has drawn, large."),
        Binding("l", "log", "log", id="log", tooltip="The engine's whole log and all warnings."),
        Binding("o", "runs", "runs", id="runs", tooltip="Other runs of this project."),
        Binding("escape", "back", "back", id="back", tooltip="Back to the screen before. The work goes on."),
    ]

    def __init__(
        self, run: RunFolder, clock: Callable[[], float] = time.time, steady: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self.watched = run
        self.gallery = Gallery()
        self.seen: Observation | None = None
        self._view = RunView(run, clock, steady)
        self._captions = DoneReader(run)
        self._log = LogTail(run)
        self._names = names_of(run)
        self._news: sentences.Says | None = None

    def compose(self) -> ComposeResult:
        yield Lines(id="header")
        yield Lines(id="progress")
        yield Lines(id="newest")
        yield Status(id="status")
        yield Hints(id="hints")

    def on_mount(self) -> None:
        self._look()
        self.set_interval(LOOK_SECONDS, self._look)

    def on_resize(self) -> None:
        if self.seen is not None:
            self.paint(self.seen)

    def _look(self) -> None:
        if not self.is_attached:
            return
        self._captions.look()
        seen = self._view.refresh(limit=SLICE_EVENTS)
        if self.seen is not None and seen.state != self.seen.state:
            self._news = None
        self.seen = seen
        self.gallery.update(seen.snapshot.samples)
        self.paint(seen)
        for screen in self.app.screen_stack:
            if isinstance(screen, LogScreen | SamplesScreen) and screen.is_attached:
                with contextlib.suppress(NoMatches):  # it has just been opened, and has no widgets yet
                    screen.follow(seen)

    @property
    def _alive(self) -> bool:
        return self.seen is not None and self.seen.state in ("preparing", "silent")

    def paint(self, seen: Observation) -> None:
        """Show this observation."""
        project, name = self._names
        sign, style = sentences.SIGNS[seen.state]
        title = line((f" {inert(project)}", STRONG), (f"  {kind_in_words(self.watched)} ", DIM), inert(name))
        state = line((f" {sign} {state_in_words(self.watched, seen.state)}", style))
        self.query_one("#header", Lines).show([title, state])
        _, done, total = activity(seen)
        how = [*bar(done, total, BAR_CELLS), "  "] if total and self._alive else []
        doing = line(" ", *how, (at_work(seen), PLAIN)) if self._alive else line()
        self.query_one("#progress", Lines).show([line(), doing, line()])
        self.query_one("#newest", Lines).show(self._newest(seen, max(3, self.app.size.height - FRAME_ROWS)))
        self.query_one(Status).say(*(self._news or self._sentence(seen)))
        self.show_hints()

    def _newest(self, seen: Observation, room: int) -> list[Text]:
        if self._captions.all:
            return caption_rows(self._captions.all, room, self.app.size.width)
        return log_panel(seen, self._log.refresh(), room)

    def _sentence(self, seen: Observation) -> sentences.Says:
        if seen.state == "preparing":
            return "ok", f"It goes on by itself when you leave; {self.key('stop')} stops it, and what is there stays."
        if seen.over:
            return how_it_ended(seen, f"{self.key('log')} shows its log.")
        return sentences.sentence(seen, self.key, False)

    def offered(self, action: str) -> bool:
        if action == "stop":
            return self._alive
        if action == "samples":
            return bool(self.gallery.samples)
        if action == "back":
            return sum(isinstance(screen, Page) for screen in self.app.screen_stack) > 1
        return super().offered(action)

    def action_stop(self) -> None:
        alive = self._alive
        self._news = ask_to_stop(self.watched) if alive else ("!", "No engine is at work on this run.")
        self.query_one(Status).say(*self._news)

    def action_samples(self) -> None:
        if self.gallery.samples:
            self.app.push_screen(SamplesScreen(self.watched, self.gallery))

    def action_log(self) -> None:
        screen = LogScreen(self.watched)
        self.app.push_screen(screen)
        if (seen := self.seen) is not None:
            screen.call_after_refresh(lambda: screen.follow(seen))

    def action_runs(self) -> None:
        from lora_tui.screens.runs import RunsScreen

        if any(isinstance(screen, RunsScreen) for screen in self.app.screen_stack):
            self.dismiss(None)
        else:
            self.app.push_screen(RunsScreen([project_of(self.watched)]))

    def action_back(self) -> None:
        if self.offered("back"):
            self.dismiss(None)


def screen_of(run: RunFolder) -> Page[None]:
    """What shows a run: the dashboard of a training, or the progress of another job."""
    from lora_tui.job_kinds import is_beside_training
    from lora_tui.screens.dashboard import Dashboard

    return JobScreen(run) if is_beside_training(run) else Dashboard(run)
