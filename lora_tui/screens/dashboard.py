"""The dashboard of one run: live, or of one that is over; the same screen after a reconnect.

It only reads: every figure comes from the run folder, every wish goes there as a small file. It can be closed and
opened again at any moment, and several may look at one run.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.css.query import NoMatches

from engine.plan.errors import Finding, inert
from engine.runs.events import SLICE_EVENTS
from engine.runs.folder import RunFolder
from engine.runs.resume import resumable
from engine.runs.state import Observation, RunView, State
from lora_tui.aside import aside
from lora_tui.screens import figures, questions, sentences
from lora_tui.screens.asked import default_prompt, names_of, project_of
from lora_tui.screens.keys import DASHBOARD_KEYS, LAST_STEPS
from lora_tui.screens.log import LogScreen, LogTail
from lora_tui.screens.log import panel as log_panel
from lora_tui.screens.orders import Orders, resume
from lora_tui.screens.page import Page
from lora_tui.screens.samples import SamplesPanel, SamplesScreen
from lora_tui.screens.series import Gallery
from lora_tui.screens.toasts import Toasts
from lora_tui.widgets.chart import ChartRun, LossChart
from lora_tui.widgets.hints import Hints
from lora_tui.widgets.lines import Lines
from lora_tui.widgets.status import Status
from lora_tui.widgets.tabs import Tabs

WIDE_COLUMNS, WIDE_ROWS = 96, 28  # from here on all panels stand side by side
HUGE_COLUMNS = 150
LOADING_PAINT_SECONDS = 0.25  # while a long history is read
NEWS_SECONDS = 12.0  # how long an answer stays in the status line
ALIVE = ("preparing", "training", "paused", "silent")
TABS = {"loss": "Loss", "samples": "Samples", "figures": "Figures", "files": "Files", "log": "Log"}


class Dashboard(Page[None]):
    """Follows `run`. `clock` and `steady` as in RunView, for tests and pictures of the screen."""

    CSS_PATH = "dashboard.tcss"
    BINDINGS: ClassVar[list[BindingType]] = DASHBOARD_KEYS

    def __init__(
        self, run: RunFolder, clock: Callable[[], float] = time.time, steady: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self.watched = run
        self.view = RunView(run, clock, steady)
        self.seen: Observation | None = None
        self.gallery = Gallery()
        self.tab = "loss"
        self._orders = Orders(run)
        self._log = LogTail(run)
        self._names = names_of(run)
        self._dry_run = run.is_dry_run
        self._news: tuple[sentences.Says, float] | None = None
        self._state: State | None = None
        self._starting = False
        self._following: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._toasts = Toasts()

    def compose(self) -> ComposeResult:
        self._classify()  # before there are children: each later change of classes styles them all anew
        yield Lines(id="header")
        yield Tabs(TABS, id="tabs")
        yield Lines(id="happened")
        with Container(id="body"):
            with Vertical(id="left"):
                for name in ("progress", "learning", "speed", "memory", "files"):
                    yield Lines(id=name, classes="panel")
            with Vertical(id="middle"):
                with Container(id="loss", classes="panel"):
                    yield LossChart(id="chart")
                with Vertical(id="lower"):
                    yield SamplesPanel(self.watched, self.gallery, id="samples", classes="panel")
                    yield Lines(id="log", classes="panel")
        yield Status(id="status")
        yield Hints(id="hints")

    def on_mount(self) -> None:
        self.query_one(LossChart).ascii = getattr(self.app, "ascii_only", False)
        titles = {"progress": "Progress", "learning": "Learning", "speed": "Speed", "memory": "Memory"}
        titles |= {"files": "LoRAs and checkpoints", "loss": "Loss", "samples": "Samples", "log": "Log and warnings"}
        for name, title in titles.items():
            self.query_one(f"#{name}").border_title = title
        self._arrange()
        self.call_after_refresh(self._start_following)  # once the panels know their sizes

    def _start_following(self) -> None:
        self._following = asyncio.get_running_loop().create_task(self._follow())

    def on_unmount(self) -> None:
        if self._following is not None:
            self._following.cancel()

    async def _follow(self) -> None:
        """Read and paint, for as long as the screen is there. A long history comes in slices."""
        painted = -1.0
        while True:
            try:
                seen = self.seen = self.view.refresh(limit=SLICE_EVENTS)
                if not seen.more or time.monotonic() - painted > LOADING_PAINT_SECONDS:
                    self.paint(seen)
                    painted = time.monotonic()
            except NoMatches:
                pass  # the screen is being built, or taken down, which ends this task
            except Exception as error:  # a task's exception would only be told when the app is gone
                self.app._handle_exception(error)
                return
            self._wake.clear()
            if seen.more:
                await asyncio.sleep(0)
                continue
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self._pause())

    def _pause(self) -> float:
        look = getattr(self.app, "look", None)
        pause = 1 / look.paints_per_second if look is not None else 0.5
        return pause if self.is_current else max(1.0, pause)

    # ------------------------------------------------------------------------------------------------------ painting

    def paint(self, seen: Observation) -> None:
        """Show this observation. Widgets that say the same as before send nothing."""
        snapshot = seen.snapshot
        width = self.app.size.width
        if seen.state != self._state:  # what was said was said of another state
            self._state, self._news = seen.state, None
        self._hear(seen)
        self._toasts.show(self.app, seen)
        kind = "dry run" if self._dry_run else "run"
        self.query_one("#header", Lines).show(sentences.header(seen, self._names, width, kind))
        log = self._log.refresh()
        self.query_one("#happened", Lines).show(sentences.what_happened(seen, log, width))
        self._paint_figures(seen)
        self.query_one(LossChart).show([ChartRun(self._names[1], snapshot, seen.over)])
        if self.gallery.update(snapshot.samples):
            self.query_one(SamplesPanel).paint()
        panel = self.query_one("#log", Lines)
        panel.show(log_panel(seen, log, max(1, panel.size.height)))
        self._paint_status(seen)
        for screen in self.app.screen_stack:
            if isinstance(screen, LogScreen | SamplesScreen) and screen.is_attached:
                with contextlib.suppress(NoMatches):  # it has just been opened, and has no widgets yet
                    screen.follow(seen)

    def _paint_figures(self, seen: Observation) -> None:
        strip = self.has_class("-small") and self.tab == "loss"
        for name, figure in (
            ("progress", figures.progress_strip if strip else figures.progress),
            ("learning", figures.learning),
            ("speed", figures.speed),
            ("memory", figures.memory),
            ("files", figures.files),
        ):
            panel = self.query_one(f"#{name}", Lines)
            panel.show(figure(seen, max(20, panel.size.width)))

    def _paint_status(self, seen: Observation) -> None:
        status = self.query_one(Status)
        if self._news is not None and time.monotonic() > self._news[1]:
            self._news = None
        if self._starting:
            status.say("ok", "Starting the engine…")
        elif not self.watched.path.is_dir():
            status.say("!", f"The run's folder is not there any more: {inert(self.watched.path)}")
        elif self._news is not None:
            status.say(*self._news[0])
        elif seen.more:
            status.say("ok", f"Reading what has happened so far: step {seen.snapshot.step:,}…")
        elif self._dry_run and seen.state == "preparing":
            status.say("ok", sentences.DRY_RUN_PREPARES)
        else:
            status.say(*sentences.sentence(seen, self.key, self._resumable(seen)))
        self.show_hints()

    def say(self, mark: str, sentence: str) -> None:
        """News for the status line, in place of how things stand, for a while."""
        self._news = ((mark, sentence), time.monotonic() + NEWS_SECONDS)
        self.query_one(Status).say(mark, sentence)

    def _hear(self, seen: Observation) -> None:
        answer = self._orders.answer(seen.snapshot, seen.state in ALIVE)
        if answer is not None:
            self.say(*answer)

    # -------------------------------------------------------------------------------------------------- arrangement

    def on_resize(self, event: events.Resize) -> None:
        self._arrange()
        if self.seen is not None:
            self.call_after_refresh(self.paint, self.seen)

    def _arrange(self) -> None:
        wide = self._classify()
        for name in ("loss", "samples", "log"):
            self.query_one(f"#{name}").set_class(wide and name == self.tab, "-here")
        self.query_one(Tabs).choose(self.tab)

    def _classify(self) -> bool:
        """Tell the style sheet how much room there is and which panel is in front; True if all stand side by side."""
        size = self.app.size
        wide = size.width >= WIDE_COLUMNS and size.height >= WIDE_ROWS
        classes = {f"-{self.tab}", "-wide" if wide else "-small"}
        if wide and size.width >= HUGE_COLUMNS:
            classes.add("-huge")
        if classes != self.classes:
            self.set_classes(classes)
        return wide

    def action_panel(self, name: str) -> None:
        """Bring a panel to the front (on a small terminal), and let the arrow keys act on it."""
        wide = self.has_class("-wide")
        self.tab = name if not wide or name in ("loss", "samples", "log") else self.tab
        self._arrange()
        if self.seen is not None:
            self.call_after_refresh(self.paint, self.seen)
        self.call_after_refresh(self.query_one(SamplesPanel).paint)

    def action_next_panel(self, by: int) -> None:
        names = ["loss", "samples", "log"] if self.has_class("-wide") else list(TABS)
        at = names.index(self.tab) if self.tab in names else 0
        self.action_panel(names[(at + by) % len(names)])

    def on_tabs_chosen(self, event: Tabs.Chosen) -> None:
        self.action_panel(event.name)

    # ---------------------------------------------------------------------------------------------- chart and pictures

    def action_arrow(self, across: int, down: int) -> None:
        """Left and right pan the chart or go through time; up and down go through the prompts."""
        if self.tab == "samples":
            self.gallery.through_time(across)
            self.gallery.through_prompts(down)
            self.query_one(SamplesPanel).paint()
        elif across:
            self.query_one(LossChart).pan(across / 4)

    def action_log_scale(self) -> None:
        self.query_one(LossChart).toggle_log()

    def action_zoom(self, factor: float) -> None:
        self.query_one(LossChart).zoom(factor)

    def action_whole(self) -> None:
        self.query_one(LossChart).whole()

    def action_last(self) -> None:
        self.query_one(LossChart).last(LAST_STEPS)

    def action_samples(self) -> None:
        self.app.push_screen(SamplesScreen(self.watched, self.gallery))

    def action_log(self) -> None:
        screen = LogScreen(self.watched)
        self.app.push_screen(screen)
        if self.seen is not None:
            seen = self.seen
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

    # -------------------------------------------------------------------------------------------------------- orders

    def offered(self, action: str) -> bool:
        state = self.seen.state if self.seen is not None else "unknown"
        alive = state in ALIVE
        offers = {
            "stop": alive,
            "sample": alive,
            "checkpoint": alive and not self._dry_run,  # which saves nothing
            "pause": state in ("training", "preparing", "paused"),
            "resume_run": self.seen is not None and (self._resumable(self.seen) or self._extensible(self.seen)),
            "samples": bool(self.gallery.samples),
            "back": sum(isinstance(screen, Page) for screen in self.app.screen_stack) > 1,
        }
        return offers.get(action, True)

    def label(self, binding: Binding) -> str:
        state = self.seen.state if self.seen is not None else "unknown"
        if binding.id == "pause" and state == "paused":
            return "go on"
        if binding.id == "resume_run" and state == "finished":
            return "more epochs…"
        return binding.description

    def _resumable(self, seen: Observation) -> bool:
        return not seen.more and resumable(self.watched, seen)

    def _extensible(self, seen: Observation) -> bool:
        return seen.state == "finished" and not seen.more and self.watched.is_training

    def _alive(self) -> bool:
        """Whether there is an engine to ask; says so if there is none."""
        if self.seen is not None and self.seen.state in ALIVE:
            return True
        state = self.seen.state if self.seen is not None else "unknown"
        why = {"unknown": "This run can only be looked at from here.", "queued": "No engine has begun with it yet."}
        self.say("!", why.get(state, f"No engine is at work on this run: it has {state}."))
        return False

    def _order(self, command: str, **arguments: object) -> None:
        self.say(*self._orders.send(command, **arguments))
        self._wake.set()

    def action_pause(self) -> None:
        def chosen(value: str | None) -> None:
            if value:
                self._order("pause", release_memory=value == "release")

        if self._alive():
            if self.seen is not None and self.seen.state == "paused":
                self._order("resume")
            else:
                self.app.push_screen(questions.pause(), chosen)

    def action_stop(self) -> None:
        def chosen(command: str | None) -> None:
            if command:
                self._order(command)

        if self._alive():
            self.app.push_screen(questions.stop(self._dry_run), chosen)

    def action_checkpoint(self) -> None:
        if self._alive():
            self._order("checkpoint")

    def action_sample(self) -> None:
        def asked(prompt: str | None) -> None:
            if prompt:
                self._order("sample", prompt=prompt)

        if self._alive():
            self.app.push_screen(questions.sample(default_prompt(self.watched, self.gallery)), asked)

    def action_resume_run(self) -> None:
        if self.seen is None or self._starting:
            return
        if not self._resumable(self.seen):
            if self.seen.state == "paused":
                self._order("resume")
            elif self._extensible(self.seen):
                self._ask_for_more(self.seen.snapshot.total_epochs)
            else:
                self.say("!", sentences.not_resumable(self.seen))
            return
        self._go_on()

    def _ask_for_more(self, epochs: int) -> None:
        def asked(answer: str | None) -> None:
            if answer and not (answer.isascii() and answer.isdecimal()):
                self.say("x", "The number of epochs is a whole number. Nothing was started.")
            elif answer:
                self._go_on({"max_train_epochs": int(answer)})

        self.app.push_screen(questions.more_epochs(epochs), asked)

    def _go_on(self, sets: Mapping[str, object] | None = None, accepted: bool = False) -> None:
        self._starting = True
        self.query_one(Status).say("ok", "Starting the engine…")
        aside(lambda: resume(self.watched, sets, accepted), lambda said: self._resumed(said, sets))

    def _resumed(self, said: sentences.Says | Finding, sets: Mapping[str, object] | None) -> None:
        self._starting = False
        if not self.is_attached:
            return
        if isinstance(said, Finding):
            ask = questions.all_the_same(said)
            self.app.push_screen(ask, lambda yes: self._go_on(sets, accepted=True) if yes else None)
        else:
            self.say(*said)
        self._wake.set()
