"""The list of presets behind the settings: when to use each, what it would change here, one's own saved and removed."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from engine.plan.errors import UserError, inert
from engine.plan.own_presets import Broken
from engine.plan.preset_changes import Change, changes
from engine.plan.presets import Preset
from lora_tui import preset_shelf
from lora_tui.folder_contents import fitted
from lora_tui.preset_shelf import counted
from lora_tui.screens.dialogs import Ask, Choice, Question
from lora_tui.screens.page import Page
from lora_tui.screens.preset_detail import PresetDetail
from lora_tui.screens.sentences import Says
from lora_tui.widgets.hints import Hints
from lora_tui.widgets.lines import Lines
from lora_tui.widgets.listing import Listing
from lora_tui.widgets.paint import BAD, DIM, PLAIN, STRONG, line
from lora_tui.widgets.status import Status

if TYPE_CHECKING:
    from lora_tui.draft import Draft

TITLE_CELLS = 34
_SAVE = "Save the current settings as a preset of yours. Its name?"
_MAY_BE_EMPTY = "It is what this list says of it. Enter alone saves it without."
_SAVED_WITHOUT = "Base model, names, paths and words of this project are not part of it."


class PresetsScreen(Page[Preset | None]):
    """Answers with the preset that is to be taken, or None. by: how many rows from the one in use it begins."""

    CSS_PATH = "presets.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "look", id="open", tooltip="Show what this preset changes; there Enter takes it."),
        Binding("s", "save", "save yours", id="save", tooltip="Save the current settings as a preset of your own."),
        Binding("x", "remove", "remove", id="remove", tooltip="Delete a preset of your own. Asks before."),
        Binding("up", "row(-1)", "row", show=False, tooltip="The row above or below."),
        Binding("down", "row(1)", "row", show=False, tooltip="The row above or below."),
        Binding("pageup,home", "row(-1000)", "", show=False, tooltip="The first or the last row."),
        Binding("pagedown,end", "row(1000)", "", show=False, tooltip="The first or the last row."),
        Binding("escape", "back", "back", id="back", tooltip="Back; nothing is changed."),
        Binding("p", "back", "back", show=False),
    ]

    def __init__(self, draft: Draft, by: int = 0) -> None:
        super().__init__()
        self._draft, self._by = draft, by
        self.rows: list[Preset | Broken] = []
        self._news: Says = ("ok", "")
        self._changes: dict[str, list[Change]] = {}  # of each preset, by its name

    def compose(self) -> ComposeResult:
        yield Lines(id="header")
        yield Listing(id="list", has_bar=True)
        yield Lines(id="about")
        yield Status(id="status")
        yield Hints(id="hints")

    def on_mount(self) -> None:
        below = " Sets of settings to start from. Enter shows first what changes."
        self.query_one("#header", Lines).show([line((" Presets", STRONG)), line((below, DIM))])
        self._news = self._in_use()
        self._fill()
        names = [row.name for row in self.rows]
        now = self._draft.project.preset
        self.listing.choose((names.index(now) if now in names else 0) + self._by)
        self._paint()

    def on_resize(self) -> None:
        self.call_after_refresh(self._paint)

    @property
    def listing(self) -> Listing:
        return self.query_one("#list", Listing)

    @property
    def here(self) -> Preset | Broken:
        return self.rows[self.listing.here]

    def _fill(self, choose: str = "") -> None:
        """Read all presets anew, and choose one."""
        found, broken = preset_shelf.shelf()
        self.rows = [*found, *broken]
        self._changes = {preset.name: changes(self._draft.project, preset) for preset in found}
        self.listing.show_rows(len(self.rows), self._row)
        if choose:
            self.listing.choose(next((at for at, row in enumerate(self.rows) if row.name == choose), 0))

    def _row(self, index: int) -> Text:
        row = self.rows[index]
        if isinstance(row, Broken):
            return line((fitted(row.name, TITLE_CELLS), PLAIN), (" x cannot be used", BAD))
        own = "yours, " if row.own else ""
        return line((fitted(row.title, TITLE_CELLS), PLAIN), (f" {own}{counted(self._changes[row.name])}", DIM))

    def _paint(self) -> None:
        here, width = self.here, max(30, self.app.size.width - 2)
        if isinstance(here, Broken):
            rows = [line((f" {part}", BAD)) for part in textwrap.wrap(inert(here.why), width)[:5]]
        else:
            rows = [line((f" {part}", PLAIN)) for part in textwrap.wrap(here.when, width)[:5]]
        self.query_one("#about", Lines).show(rows)
        self.query_one(Status).say(*self._news)
        self.show_hints()

    def offered(self, action: str) -> bool:
        if not self.rows:
            return True
        if action == "remove":
            return isinstance(self.here, Broken) or self.here.own
        return action != "open" or isinstance(self.here, Preset)

    # ----------------------------------------------------------------------------------------------------------- keys
    def action_row(self, by: int) -> None:
        self._news = self._in_use()
        self.listing.move(by)
        self._paint()

    def on_listing_moved(self, event: Listing.Moved) -> None:
        self._paint()

    def on_listing_opened(self, event: Listing.Opened) -> None:
        self.action_open()

    def action_open(self) -> None:
        here = self.here
        if isinstance(here, Preset):
            self.app.push_screen(PresetDetail(here, self._changes[here.name], lambda: self.dismiss(here)))

    def action_back(self) -> None:
        self.dismiss(None)

    def action_save(self) -> None:
        self.app.push_screen(Ask(_SAVE, "", _SAVED_WITHOUT), self._save)

    def _save(self, name: str | None, force: bool = False) -> None:
        """Ask when to use it, which is what the list says of a preset; a name that cannot be is told before."""
        if not name:
            return
        try:
            preset_shelf.check_name(name, force=force)
        except UserError as error:
            if error.code == "exists":
                self._ask_to_replace(name)
            else:
                self._say("x", inert(error))
            return
        question = Ask(preset_shelf.WHEN, "", _MAY_BE_EMPTY)
        self.app.push_screen(question, lambda when: self._write(name, when, force) if when is not None else None)

    def _write(self, name: str, when: str, force: bool) -> None:
        try:
            path = preset_shelf.save(name, self._draft.settings(), when, force=force)
        except UserError as error:
            self._say("x", inert(error))
            return
        self._fill(path.stem)
        self._say("ok", f"Saved as {path.stem}: {path}")

    def _ask_to_replace(self, name: str) -> None:
        choices = [
            Choice("", "Leave it", "the older one stays as it is"),
            Choice("yes", "Replace it", "by the current settings"),
        ]
        question = Question(f"You have a preset {inert(name)} already. Replace it?", choices)
        self.app.push_screen(question, lambda answer: self._save(name, force=True) if answer == "yes" else None)

    def action_remove(self) -> None:
        here = self.here
        if isinstance(here, Preset) and not here.own:
            self._say("!", "This preset comes with the program and stays.")
            return
        choices = [
            Choice("", "Keep it"),
            Choice("yes", "Delete it", "projects that were started from it stay as they are"),
        ]
        question = Question(f"Delete your preset {inert(here.name)}?", choices)
        self.app.push_screen(question, lambda answer: self._remove(here.name) if answer == "yes" else None)

    def _remove(self, name: str) -> None:
        try:
            path = preset_shelf.remove(name)
        except UserError as error:
            self._say("x", inert(error))
            return
        self._fill()
        self._say("ok", f"Deleted: {path}")

    def _in_use(self) -> Says:
        return "ok", f"These settings start from {preset_shelf.title_of(self._draft.project.preset)}."

    def _say(self, mark: str, sentence: str) -> None:
        """News, until another row is chosen."""
        self._news = (mark, sentence)
        self._paint()
