"""Walks through the folders of this machine with the arrow keys, until a folder or a file is taken.

Whatever reads a disk does so in a thread: a large folder or a slow disk never holds the keys up.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.css.query import NoMatches
from textual.widgets import Input

from engine.plan.errors import inert, plural
from lora_tui.aside import aside
from lora_tui.folder_contents import Contents, Entry, fitted, go_to, look, missing, nearest, read, tail
from lora_tui.screens.page import Page
from lora_tui.screens.sentences import Says
from lora_tui.widgets.hints import Hints
from lora_tui.widgets.lines import Lines
from lora_tui.widgets.listing import Listing
from lora_tui.widgets.paint import ACCENT, DIM, PLAIN, STRONG, line
from lora_tui.widgets.path_input import PathInput
from lora_tui.widgets.status import Status

DETAIL_CELLS = 18
SLOW_SECONDS = 0.3  # a folder that takes longer is said to be read
MOST_FITS = 6  # candidates of Tab in sight
_ENDS = 1_000_000  # rows, in both directions


class Browse(Page[Path | None]):
    """Dismissed with what was taken, absolute, or with None. `push_screen(Browse(folder), callback)`."""

    CSS_PATH = "browse.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "open", id="open", tooltip="Go into the folder, or take what the row says."),
        Binding("t", "take", "take it", id="take", tooltip="Take the folder or file that is highlighted."),
        Binding("left", "up", "up", id="up", tooltip="Go to the folder above."),
        Binding("right", "into", "into", id="into", show=False, tooltip="Go into the folder."),
        Binding("slash", "type", "type a path", id="type", tooltip="Go to a path that you type or paste."),
        Binding("h", "home", "home", id="home", tooltip="Go to your home folder."),
        Binding("full_stop", "hidden", "hidden", id="hidden", tooltip="Show hidden files and folders, and hide them."),
        Binding("r", "again", "read again", id="again", tooltip="Read the folder again."),
        Binding("up", "move(-1)", "row", show=False, tooltip="The row above or below."),
        Binding("down", "move(1)", "row", show=False, tooltip="The row above or below."),
        Binding("pageup", "page(-1)", "page", show=False, tooltip="A page up or down."),
        Binding("pagedown", "page(1)", "page", show=False, tooltip="A page up or down."),
        Binding("0", f"move(-{_ENDS})", "first", show=False, tooltip="To the first row."),
        Binding("9", f"move({_ENDS})", "last", show=False, tooltip="To the last row."),
        Binding("escape", "back", "leave it", id="back", tooltip="Leave without taking anything."),
    ]

    def __init__(self, start: Path, *, title: str = "", folders: bool = True, suffixes: Sequence[str] = ()) -> None:
        """start: where to begin, a folder or a file. folders: whether a folder may be taken.

        suffixes: files that may be taken, as `.safetensors`, in any case.
        """
        super().__init__()
        self._begin, self._folders = start, folders
        self._suffixes = tuple(suffix.lower() for suffix in suffixes)
        what = " or a ".join([*(["folder"] if folders else []), *(["file"] if suffixes else [])])
        self._title_words = title or f"Choose a {what}"
        self.shown = Contents(start)
        self.hidden = False
        self._going = start  # the folder that is being read, or shown
        self._turn = 0  # counts what was asked of the disk: only the last answer counts
        self._waiting = False
        self._taking = False
        self._looking = -1  # the turn in which the disk is asked what entries are
        self._about: dict[str, str] = {}
        self._news: Says | None = None

    def compose(self) -> ComposeResult:
        yield Lines(id="header")
        yield Listing(id="entries")
        yield Lines(id="fits")
        yield PathInput(id="typed", folders_only=not self._suffixes, suffixes=self._suffixes)
        yield Status(id="status")
        yield Hints(id="hints")

    def on_mount(self) -> None:
        turn, begin = self._ask(), self._begin

        def found(answer: tuple[Contents, str, str]) -> None:
            self._news = ("!", answer[2]) if answer[2] and not answer[0].trouble else None
            self._answer(turn, answer[0], answer[1])

        aside(lambda: nearest(begin), found)
        self.show_all()

    def on_resize(self, event: events.Resize) -> None:
        self.call_after_refresh(self.show_all)

    # --------------------------------------------------------------------------------------------------- the disk
    def _ask(self) -> int:
        """A new turn at the disk; what was asked before is not waited for."""
        self._turn += 1
        self._waiting = True
        self.set_timer(SLOW_SECONDS, self.show_status)
        return self._turn

    def _go(self, folder: Path, stand_on: str = "") -> None:
        turn, hidden = self._ask(), self.hidden
        self._going, self._news = folder, None
        aside(lambda: read(folder, hidden), lambda found: self._answer(turn, found, stand_on))

    def _answer(self, turn: int, found: Contents, stand_on: str) -> None:
        if turn != self._turn or not self.is_attached:
            return
        self._waiting = False
        self.shown, self._going, self._about = found, found.folder, {}
        names = [entry.name for entry in found.entries]
        place = names.index(stand_on) + self._above if stand_on in names else 0
        self.show_all()
        self.query_one(Listing).choose(place)
        self._moved()

    def _look(self) -> None:
        """Find out what the entries around the chosen one are, those in sight first."""
        listing = self.query_one(Listing)
        here, page = listing.here - self._above, listing.page
        near = sorted(
            range(max(0, here - page), min(len(self.shown.entries), here + page)), key=lambda place: abs(place - here)
        )
        unknown = [entry for entry in (self.shown.entries[place] for place in near) if entry.name not in self._about]
        if self._looking == self._turn or not unknown:
            return
        turn = self._looking = self._turn
        folder = self.shown.folder

        def found(about: dict[str, str]) -> None:
            if turn == self._turn and self.is_attached:
                self._looking = -1
                self._about |= about
                self._show_rows()
                self._look()

        aside(lambda: look(folder, unknown), found)

    # ---------------------------------------------------------------------------------------------------- showing
    @property
    def _above(self) -> int:
        """Rows above the entries: the one that takes this folder."""
        return 1 if self._folders and not self.shown.trouble else 0

    def _entry(self) -> Entry | None:
        """The entry that is chosen; None on a row that is none."""
        place = self.query_one(Listing).here - self._above
        return self.shown.entries[place] if 0 <= place < len(self.shown.entries) else None

    def _on_this(self) -> bool:
        return self._above == 1 and self.query_one(Listing).here == 0

    def _may_take(self, entry: Entry) -> bool:
        return self._folders if entry.folder else entry.name.lower().endswith(self._suffixes or ("\0",))

    def show_all(self) -> None:
        """Bring everything on the screen up to date."""
        try:
            counted = "" if self._waiting and not self.shown.entries else self.shown.counted
            title = line((f" {inert(self._title_words)}", STRONG), (f"   {counted}", DIM))
            where = line((f" {tail(self.shown.folder, self.app.size.width - 4)}", ACCENT))
            self.query_one("#header", Lines).show([title, where])
            self._show_rows()
            self._moved()
        except NoMatches:
            pass  # it is being built, or taken down

    def _show_rows(self) -> None:
        more = 1 if self.shown.more else 0
        self.query_one(Listing).show_rows(self._above + len(self.shown.entries) + more, self._row)

    def _row(self, index: int) -> Text:
        if index < self._above:
            return line(("Take this folder", ACCENT))
        if index - self._above >= len(self.shown.entries):
            return line((self._rest(), DIM))
        entry = self.shown.entries[index - self._above]
        style = STRONG if entry.folder else PLAIN if self._may_take(entry) else DIM
        room = max(10, self.app.size.width - 3 - DETAIL_CELLS - 2)
        name = fitted(entry.name + ("/" if entry.folder else ""), room)
        return line((name, style), "  ", (self._about.get(entry.name, ""), DIM))

    def _rest(self) -> str:
        return f"{self.shown.not_shown}; {self.key('type')} goes there by path"

    def show_status(self) -> None:
        try:
            self.query_one(Status).say(*self._sentence())
            self.show_hints()
        except NoMatches:
            pass

    def _sentence(self) -> Says:
        if self._waiting:
            return "ok", "Reading the folder…"
        if self._news is not None:
            return self._news
        if self.shown.trouble:
            return "x", f"{self.shown.trouble} {self.key('up')} goes up."
        entry = self._entry()
        if self._on_this():
            return "ok", f"{self.key('open')} takes this folder."
        if entry is None:
            return "ok", "There is nothing here." if not self.shown.entries else f"{self._rest()}."
        if entry.folder:
            also = f", {self.key('take')} takes it" if self._folders else ""
            return "ok", f"{self.key('open')} goes into it{also}."
        if self._may_take(entry):
            return "ok", f"{self.key('open')} takes this file."
        return "ok", f"Only {self._wanted()} can be taken here."

    def _wanted(self) -> str:
        files = [f"{', '.join(self._suffixes)} files"] if self._suffixes else []
        return " and ".join([*(["folders"] if self._folders else []), *files]) or "nothing"

    def say(self, mark: str, sentence: str) -> None:
        """News, until something else is done."""
        self._news = (mark, sentence)
        self.show_status()

    # ------------------------------------------------------------------------------------------------------- keys
    @property
    def typing(self) -> bool:
        """Whether a path is being typed."""
        return self.has_class("-typing")

    def _moved(self) -> None:
        self.show_status()
        self._look()

    def on_listing_moved(self, event: Listing.Moved) -> None:
        self._news = None
        self._moved()

    def on_listing_opened(self, event: Listing.Opened) -> None:
        self.action_open()

    def action_move(self, by: int) -> None:
        if not self.typing:
            self.query_one(Listing).move(by)

    def action_page(self, by: int) -> None:
        self.action_move(by * self.query_one(Listing).page)

    def action_open(self) -> None:
        if not self.action_into():
            self.action_take()

    def action_into(self) -> bool:
        """Go into the folder of this row; False where it is none."""
        entry = self._entry()
        if entry is None or not entry.folder or self._waiting:
            return False
        self._go(self.shown.folder / entry.name)
        return True

    def action_up(self) -> None:
        folder = self._going
        if folder.parent != folder:
            self._go(folder.parent, folder.name)

    def action_home(self) -> None:
        self._go(Path(os.path.expanduser("~")))

    def action_hidden(self) -> None:
        self.hidden = not self.hidden
        self.action_again()

    def action_again(self) -> None:
        entry = self._entry()
        self._go(self._going, entry.name if entry is not None else "")

    def action_take(self) -> None:
        entry = self._entry()
        if self._waiting or self._taking:
            return
        if entry is not None and self._may_take(entry):
            path = self.shown.folder / entry.name
        elif self._on_this():
            path = self.shown.folder
        else:
            self._news = None
            self.say("!", self._sentence()[1] if self.shown.trouble else f"Only {self._wanted()} can be taken here.")
            return
        self._taking = True

        def checked(trouble: str) -> None:
            self._taking = False
            if trouble:
                self.say("x", trouble)
            elif self.is_current:
                self.dismiss(path)

        aside(lambda: missing(path), checked)

    def action_back(self) -> None:
        if not self.typing:
            self.dismiss(None)
            return
        self._turn += 1  # a path that was taken already is not gone to any more
        self._waiting = False
        self._stop_typing()

    # ----------------------------------------------------------------------------------------------- typing a path
    def action_type(self) -> None:
        typed = self.query_one(PathInput)
        folder = str(self.shown.folder)
        typed.start = folder
        typed.value = os.path.join(folder, "") if inert(folder) == folder else ""
        typed.cursor_position = len(typed.value)
        self.query_one("#fits", Lines).show([])
        self.add_class("-typing")
        typed.focus()
        self._news = ("ok", "Type or paste a path.")
        self.call_after_refresh(self.show_status)

    def _stop_typing(self) -> None:
        self.remove_class("-typing")
        self.set_focus(None)
        self._news = None
        self.call_after_refresh(self.show_all)

    def on_path_input_completed(self, event: PathInput.Completed) -> None:
        names = event.candidates if len(event.candidates) > 1 else ()
        rows = [line((f"   {inert(name)}", DIM)) for name in names[:MOST_FITS]]
        left = len(names) + event.more - len(rows)
        if left > 0:
            rows[-1] = line((f"   and {left + 1:,} more", DIM))
        self.query_one("#fits", Lines).show(rows)
        self.say("ok", f"{plural(len(names) + event.more, 'name')} fit." if names else "Type or paste a path.")

    def on_input_changed(self, event: Input.Changed) -> None:
        """A path from the root or the home folder takes the place of the folder that stands there to begin with."""
        typed = self.query_one(PathInput)
        begun = os.path.join(typed.start, "")
        # More letters may stand there by now: some terminals paste as if it was typed.
        if event.value in (f"{begun}/", f"{begun}~") and typed.value.startswith(event.value):
            place = typed.cursor_position - len(begun)
            typed.value = typed.value[len(begun) :]
            typed.cursor_position = place

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        typed = self.query_one(PathInput)
        if not typed.path:
            self._stop_typing()
            return
        path, hidden, turn = Path(typed.start) / typed.path, self.hidden, self._ask()

        def found(answer: tuple[Contents, str]) -> None:
            if turn != self._turn or not self.is_attached:
                return
            if answer[0].trouble:
                self._waiting = False
                self.say("x", answer[0].trouble)
            else:
                self._stop_typing()
                self._answer(turn, *answer)

        aside(lambda: go_to(path, hidden), found)

    # ------------------------------------------------------------------------------------------------------- hints
    def typing_changed(self) -> None:
        self.show_status()

    @property
    def _takes(self) -> bool:
        """Whether Enter takes what is chosen."""
        entry = self._entry()
        return entry is None or not entry.folder

    def offered(self, action: str) -> bool:
        return action != "take" or (not self._takes and self._folders)  # a second key for it needs no hint

    def label(self, binding: Binding) -> str:
        if binding.id == "submit":
            return "go there"
        return "take it" if binding.id == "open" and self._takes else super().label(binding)
