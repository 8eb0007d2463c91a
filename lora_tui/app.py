"""The app: which screen is shown, the keys that work everywhere, and leaving, whatever becomes of the terminal.

Leaving never touches a run. The app is gone within a second of SIGHUP, SIGTERM or the loss of its terminal.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import faulthandler
import gc
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ClassVar

from textual._compositor import CompositorUpdate
from textual.binding import Binding, BindingType
from textual.filter import LineFilter, NoColor

from engine.plan.errors import UserError
from lora_tui import clean_paste, lone_escape, themes
from lora_tui.key_order import KeysInOrder
from lora_tui.look import Look
from lora_tui.only_changes import Shown
from lora_tui.terminal import erases_in_colour
from lora_tui.widgets.colours import PREFIX, textual_theme
from lora_tui.widgets.scrollbar import draw_bars

if TYPE_CHECKING:
    from textual.screen import Screen

    from lora_tui.pages import Pages
    from lora_tui.steps import StepName

TERMINAL_CHECK_SECONDS = 0.5
LEAVE_SECONDS = 0.9  # after SIGHUP or SIGTERM; a fifth of it is usual
SWITCH_SECONDS = 0.001
"""For how long a thread that works aside may keep Python to itself. A key passes through the loop a dozen times before
its answer is painted, and waits for such a thread each time: at Python's usual 5 ms that can be felt."""
FULL_COLLECTION_EVERY = 100
"""Of Python's collections of garbage, how many leave out what has lived for long. With 10,000 pictures a full one stops
all threads for 30 to 90 ms, and at Python's usual 10 there was one in every check of them."""
LOG_LIMIT_BYTES = 256 * 1024
LEFT_BY_SIGNAL = 128  # plus the signal's number, as shells say it
M_ARENA_MAX = -8  # of glibc's malloc.h


class LoraTui(KeysInOrder):
    """Shows `start` first; `log_path` is where a fault of the app is written down."""

    TITLE = "lora-tui"
    ENABLE_COMMAND_PALETTE = False
    ALLOW_SELECT = False
    AUTO_FOCUS = ""
    CLOSE_TIMEOUT = 0.5  # seconds; leaving must not wait for anything
    CSS_PATH = "app.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "help", "help", id="help", tooltip="This list of keys."),
        Binding(
            "q", "leave", "leave", id="leave", priority=False,
            tooltip="Leave. A training goes on; come back any time with `lora-tui watch`.",
        ),
        Binding("colon", "palette", "commands", show=False, tooltip="Find a command, a step or a theme by its name."),
        Binding("exclamation_mark", "machine", "machine", show=False, tooltip="This machine and terminal; the theme."),
        Binding("ctrl+l", "repaint", "paint anew", show=False, tooltip="Paint all anew, where something spoilt it."),
        Binding("ctrl+c", "leave", "leave", show=False, priority=True),
        Binding("ctrl+q", "leave", "leave", show=False, priority=True),
    ]  # fmt: skip

    def __init__(
        self, start: Callable[[], Screen[None]], look: Look | None = None, log_path: Path | None = None
    ) -> None:
        super().__init__()
        self.look = look or Look()
        self.log_path = log_path
        self.ended_by = 0  # the signal that made the app leave
        self.crashed = False
        self.pages: Pages | None = None  # of the project that is open in the wizard
        self._start = start
        self._shown = Shown()
        draw_bars(self.look.ascii_only)
        self.set_class(self.look.ascii_only, "-ascii")  # for the style sheets
        self._fault_file: IO[str] | None = None
        self._leaving = False
        for name in themes.THEMES:
            self.register_theme(textual_theme(name))
        self.show_theme(self.look.theme)

    @property
    def ascii_only(self) -> bool:
        """Whether signs beyond ASCII have to be spelt in other ways."""
        return self.look.ascii_only

    @property
    def images(self) -> bool:
        """Whether pictures are drawn; else their paths are shown."""
        return self.look.images

    @property
    def theme_name(self) -> str:
        """One of `lora_tui.themes`."""
        return self.theme.removeprefix(PREFIX)

    def show_theme(self, name: str) -> None:
        """Paint everything in another theme."""
        self.no_color = name == "none"  # pictures become letters then
        self.theme = PREFIX + name

    def choose_theme(self, name: str) -> None:
        """Show it, now and from now on."""
        self.show_theme(name)
        themes.remember(name)

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Without colours the terminal's own letters and ground are used, where Textual would send greys."""
        return [NoColor()] if self.no_color else super().get_line_filters()

    def on_mount(self) -> None:
        sys.setswitchinterval(SWITCH_SECONDS)
        gc.set_threshold(*gc.get_threshold()[:2], FULL_COLLECTION_EVERY)
        self.push_screen(self._start())
        if not self.is_headless:
            self._watch_signals()
            self._sleep_only_when_asked()
            self.set_interval(TERMINAL_CHECK_SECONDS, self._check_terminal)

    def _watch_signals(self) -> None:
        """Handlers of Python's own, which also come through while the loop waits for somebody to take what it drew."""
        loop = asyncio.get_running_loop()

        def leave(number: int, frame: object) -> None:
            self._leave_soon(number)
            loop.call_soon_threadsafe(self.action_leave)

        for number in (signal.SIGHUP, signal.SIGTERM):
            # Also where nohup has had SIGHUP ignored: there is nothing to show to nobody.
            signal.signal(number, leave)

    def _leave_soon(self, number: int) -> None:
        """Whatever the app waits for from now on, the system ends it in a moment."""
        if not self.ended_by:
            self.ended_by = number
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_REAL, LEAVE_SECONDS)

    def _sleep_only_when_asked(self) -> None:
        """Ctrl-Z of a shell, and fg, between two turns of the loop.

        Textual's handlers do it wherever the program is just then: one in the middle of drawing waits for ever for a
        lock that it holds itself. And SIGCONT alone is no end of a sleep: the kernel sends it with SIGHUP, when there
        is no terminal to draw to any more.
        """
        loop = asyncio.get_running_loop()
        to_sleep, to_wake = signal.getsignal(signal.SIGTSTP), signal.getsignal(signal.SIGCONT)

        def sleep() -> None:
            if callable(to_sleep) and callable(to_wake) and not self.ended_by:
                to_sleep(signal.SIGTSTP, None)  # comes back when it is woken
                if not self.ended_by:
                    self._shown.forget()  # the shell has written on the screen
                    to_wake(signal.SIGCONT, None)

        signal.signal(signal.SIGTSTP, lambda *_: loop.call_soon_threadsafe(sleep))
        signal.signal(signal.SIGCONT, signal.SIG_DFL)

    def _display(self, screen: Any, renderable: Any) -> None:
        """What Textual has painted, as what has changed of it; with sharp pictures, which are no cells, as it is."""
        if isinstance(renderable, CompositorUpdate) and self.look.sharp is None:
            renderable = self._shown.changes(renderable)
        super()._display(screen, renderable)

    def on_resize(self) -> None:
        self._shown.forget()

    def action_repaint(self) -> None:
        """Whatever else wrote on the terminal (a message to all users, a broken line) is painted over."""
        self._shown.forget()
        self.screen.refresh(layout=True)

    def _check_terminal(self) -> None:
        """Leave when the terminal is gone. Textual's reader would spin on the end of file for ever."""
        poll = select.poll()
        with contextlib.suppress(OSError, ValueError, AttributeError):
            poll.register(sys.__stdin__.fileno(), 0)  # type: ignore[union-attr]
            if poll.poll(0):  # asked for nothing, so this is POLLHUP, POLLERR or POLLNVAL
                self._leave_soon(signal.SIGHUP)
                self.action_leave()

    def open_project(self, path: Path, step: StepName | None = None) -> None:
        """Show a project in the wizard, at `step` or where it was left.

        Raises UserError as `Project.open` does, and `unsaved` where changes of the open one would be lost.
        """
        from engine.plan.project import Project
        from lora_tui.pages import Pages

        opened = self.pages
        if opened is not None and opened.wizard.draft.path == Project.open(path).path:
            opened.go(step or opened.wizard.left_at)
            return
        if unsaved := self._unsaved():
            raise UserError("unsaved", unsaved)
        pages = Pages(self, path)
        if self.pages is not None:
            self.pages.close()
        self.pages = pages
        pages.go(step or pages.wizard.left_at)

    def _unsaved(self) -> str:
        """Why changes of the open project would be lost with it; "" where none would."""
        if self.pages is None:
            return ""
        draft = self.pages.wizard.draft
        return draft.trouble_words if draft.unkept else self.pages.would_be_lost()

    def action_leave(self) -> None:
        """Leave the app. Twice is as good as once."""
        if (unsaved := self._unsaved()) and not self.ended_by:
            self._ask_to_lose(unsaved)
        elif not self._leaving:
            self._leave()

    def _leave(self) -> None:
        self._leaving = True
        if self.pages is not None:
            self.pages.leave()
        self.exit()

    def _ask_to_lose(self, why: str) -> None:
        from lora_tui.screens.dialogs import Choice, Question

        def answered(answer: str | None) -> None:
            if answer and not self._leaving:
                self._leave()

        if not isinstance(self.screen, Question):
            choices = [Choice("", "Stay", why), Choice("yes", "Leave, and lose the changes")]
            self.push_screen(Question("Your changes are not saved.", choices), answered)

    def action_help(self) -> None:
        from lora_tui.screens.help import Help
        from lora_tui.screens.page import Page

        screen = self.screen
        if isinstance(screen, Page) and not isinstance(screen, Help):
            self.push_screen(Help(screen.explained()))

    def action_palette(self) -> None:
        from lora_tui.screens.page import Page
        from lora_tui.screens.palette import find_command

        if isinstance(self.screen, Page):
            find_command(self, self.screen)

    def action_machine(self) -> None:
        from lora_tui.screens.machine import MachineScreen
        from lora_tui.screens.page import Page

        if isinstance(self.screen, Page):
            self.push_screen(MachineScreen())

    def _fatal_error(self) -> None:
        """Textual prints a page of traceback over the shell; ours goes into the log, and one line is said."""
        self.crashed = True
        error = self._exception
        if self.log_path is not None and error is not None:
            write_fault(self.log_path, error)
        self._close_messages_no_wait()

    def start(self) -> int:
        """Run until it is left; the exit code for the process. The terminal is as before, also after a fault."""
        if self.log_path is not None:
            self._fault_file = open_log(self.log_path)
        if self._fault_file is not None:
            faulthandler.enable(self._fault_file)
        self._shown.erases = erases_in_colour()
        lone_escape.answer_soon()
        clean_paste.clean_pastes()
        share_memory()
        try:
            self.run(mouse=self.look.mouse)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)  # it has left by itself
            if self._fault_file is not None:
                faulthandler.disable()
                self._fault_file.close()
        if self.crashed:
            where = f" What happened is in {self.log_path}." if self.log_path is not None else ""
            with contextlib.suppress(OSError):
                print(f"The screen had a fault and closed; the training goes on.{where}", file=sys.stderr)
            return 1
        return LEFT_BY_SIGNAL + self.ended_by if self.ended_by else 0


def share_memory() -> None:
    """One pool of memory for all threads: else each that looked through 10,000 pictures keeps what it took, 10 MB in
    all. Only with glibc; elsewhere nothing happens."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)


def open_log(path: Path) -> IO[str] | None:
    """The app's own log, to append to; None where it cannot be written. Kept small."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and path.stat().st_size > LOG_LIMIT_BYTES:
            os.replace(path, path.with_suffix(".old.log"))
        return path.open("a", encoding="utf-8", errors="backslashreplace")
    except OSError:
        return None


def write_fault(path: Path, error: BaseException) -> None:
    """Append a traceback to the app's own log; silently not, where that cannot be."""
    file = open_log(path)
    if file is not None:
        with contextlib.suppress(OSError), file:
            print(time.strftime("%Y-%m-%d %H:%M:%S"), file=file)
            file.writelines(traceback.format_exception(error))
