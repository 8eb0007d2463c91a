"""Sharp pictures, for terminals that can show sixel or kitty graphics: optional, and only where somebody asks for them.

textual-image does the work. It asks the terminal what it can do, which takes a fifth of a second and may swallow keys
that are typed meanwhile; so it is imported only for `--sharp`, and before the app starts.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.app import ComposeResult
from textual.containers import Container
from textual.widget import Widget

from engine.plan.errors import UserError, inert
from lora_tui.aside import aside
from lora_tui.widgets.lines import Lines
from lora_tui.widgets.paint import DIM, line
from lora_tui.widgets.picture import MOST_PIXELS

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

LARGEST_SIDE = 1024  # pixels; a larger picture is not sharper in a terminal, and each costs a hundred kilobytes to send
EXTRA = "textual-image"


def find_widget() -> type[Widget] | None:
    """textual-image's widget if this terminal can show sharp pictures, else None. Only before the app starts.

    Raises UserError "no-sharp-pictures" where textual-image is not installed.
    """
    try:
        renderable = importlib.import_module("textual_image.renderable")
        widget = importlib.import_module("textual_image.widget")
    except ImportError as error:
        raise UserError(
            "no-sharp-pictures",
            f"Sharp pictures need the package {EXTRA}, which is not here.",
            'pip install "lora-tui[sharp]", or leave out --sharp.',
        ) from error
    found: Any = widget.Image
    return found if renderable.Image in (renderable.SixelImage, renderable.TGPImage) else None


class SharpPicture(Container):
    """Shows one picture with `widget`, as large as there is room; a sentence where that cannot be."""

    def __init__(self, widget: type[Widget], *, id: str) -> None:
        super().__init__(id=id)
        self._kind = widget
        self._asked: Path | None = None

    def compose(self) -> ComposeResult:
        yield self._kind(id="sharp")
        yield Lines(id="trouble")

    def show_path(self, path: Path | None) -> None:
        """Show this file from now on; the same again costs nothing."""
        if path == self._asked or path is None:
            return
        self._asked = path

        def shown(read: PILImage | str) -> None:
            if self._asked == path and self.is_attached:
                picture: Any = self.query_one("#sharp")
                picture.display = not isinstance(read, str)
                if not isinstance(read, str):  # never a path: it would be read again at every repaint
                    picture.image = read
                self.query_one("#trouble", Lines).show([line((read, DIM))] if isinstance(read, str) else [])

        aside(lambda: read_small(path), shown)


def read_small(path: Path) -> PILImage | str:
    """The picture with sides of at most 1024 pixels, or a sentence on why there is none. Never raises."""
    from PIL import Image, ImageOps

    from engine.plan.pictures import formats

    name = inert(path.name)
    try:
        with Image.open(path, formats=formats()) as opened:
            if opened.width * opened.height > MOST_PIXELS:
                return f" The picture {name} is too large to be shown here."
            opened.draft("RGB", (LARGEST_SIDE, LARGEST_SIDE))
            picture = ImageOps.exif_transpose(opened).convert("RGB")
            picture.thumbnail((LARGEST_SIDE, LARGEST_SIDE))
            return picture
    except FileNotFoundError:
        return f" The picture {name} is not there (any more)."
    except Exception:  # Pillow raises all kinds of things for damaged files
        return f" The picture {name} cannot be read; it may be damaged."
