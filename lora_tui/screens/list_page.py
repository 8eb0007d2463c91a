"""What the steps have in common that list pictures: a row for each, one of them chosen, and a preview beside them."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType

from engine.plan.dataset import Picture as Entry
from lora_tui.folder_contents import fitted
from lora_tui.screens.wizard_page import WizardPage
from lora_tui.widgets.listing import Listing
from lora_tui.widgets.picture import Picture

NAME_CELLS = 20
CAPTION_NAME_CELLS, NARROW_NAME_CELLS = 18, 12
ROOMY_CELLS = 60  # across: from here on names have more room beside captions
PREVIEW_COLUMNS = 110  # from here on there is room for the picture beside the list
_ENDS = 10_000_000  # rows, in both directions

LARGE_KEY = Binding("z", "large", "large", id="large", tooltip="The picture as large as the terminal.")
LIST_KEYS: list[BindingType] = [
    Binding("up", "row(-1)", "row", show=False, tooltip="The row above or below."),
    Binding("down", "row(1)", "row", show=False, tooltip="The row above or below."),
    Binding("left", "page(-1)", "", show=False, tooltip="A page up or down."),
    Binding("right", "page(1)", "", show=False, tooltip="A page up or down."),
    Binding("pageup", "page(-1)", "", show=False, tooltip="A page up or down."),
    Binding("pagedown", "page(1)", "", show=False, tooltip="A page up or down."),
    Binding("home", f"row(-{_ENDS})", "", show=False, tooltip="The first or the last row."),
    Binding("end", f"row({_ENDS})", "", show=False, tooltip="The first or the last row."),
]


def name_cells(width: int) -> int:
    """Cells for the names of pictures beside their captions, in a list of `width` cells.

    Lists that take each other's place have the same columns: what stands in the same cells is not sent again.
    """
    return CAPTION_NAME_CELLS if width >= ROOMY_CELLS else NARROW_NAME_CELLS


def beside_caption(path: Path, width: int) -> str:
    """The name of a picture in these cells, without its ending where room is short."""
    cells = name_cells(width)
    return fitted(path.name if cells > NARROW_NAME_CELLS else path.stem, cells)


class ListPage(WizardPage):
    """A subclass gives `row_of`, shows its pictures with `show_list`, and has `#list`, `#preview` and `#picture`."""

    BINDINGS: ClassVar[list[BindingType]] = LIST_KEYS

    def __init__(self, pages: object) -> None:
        super().__init__(pages)  # type: ignore[arg-type]
        self.shown: tuple[Entry, ...] = ()
        self._wanted = ""  # the place where the app was left, until the pictures are known

    def row_of(self, entry: Entry) -> Text:
        """The line of one picture, without its cursor."""
        raise NotImplementedError

    def show_list(self, shown: tuple[Entry, ...]) -> None:
        """Show these pictures from now on; the place stays as far as it can."""
        self.shown = shown
        self.listing.show_rows(len(shown), self._row)
        if self._wanted and shown:
            wanted, self._wanted = self._wanted, ""
            self.go_to_place(wanted)
        self.query_one("#preview").display = self.has_preview
        self.show_preview()

    def show_preview(self) -> None:
        """Show the picture that is seen beside the list, where there is room."""
        preview = self.query_one("#preview")
        seen = self.seen
        self.query_one("#picture", Picture).show_path(seen.path if seen is not None and preview.display else None)

    @property
    def has_preview(self) -> bool:
        """Whether there is room for the picture beside the list."""
        return self.app.size.width >= PREVIEW_COLUMNS

    def _row(self, index: int) -> Text:
        return self.row_of(self.shown[index])

    @property
    def listing(self) -> Listing:
        return self.query_one(Listing)

    @property
    def here(self) -> Entry | None:
        """The picture that is chosen."""
        return self.shown[self.listing.here] if self.shown else None

    @property
    def seen(self) -> Entry | None:
        """The picture that is shown beside the list: the chosen one."""
        return self.here

    @property
    def place(self) -> str:
        return self.draft.project.relative(self.here.path) if self.here is not None else self._wanted

    def go_to_place(self, place: str) -> None:
        if not self.shown:
            self._wanted = place
            return
        path = self.draft.path / place
        found = next((index for index, entry in enumerate(self.shown) if entry.path == path), None)
        if found is not None:
            self.listing.choose(found)

    # ----------------------------------------------------------------------------------------------------------- keys
    def action_row(self, by: int) -> None:
        self._news = None
        self.listing.move(by)
        self.show_all()

    def action_page(self, by: int) -> None:
        self.action_row(by * self.listing.page)

    def on_listing_moved(self, event: Listing.Moved) -> None:
        self.show_all()

    def action_large(self) -> None:
        from lora_tui.screens.large import LargePicture

        if self.shown:
            self.app.push_screen(LargePicture([entry.path for entry in self.shown], self.listing.here))
