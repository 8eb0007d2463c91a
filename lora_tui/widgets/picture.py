"""A picture in the terminal, in half blocks: every cell shows two pixels, one above the other.

The file is read once, in a thread, and made as small as it is shown; after that painting costs no more than text. It is
never painted on a timer. Without UTF-8 a cell shows one pixel, without colours a letter of about its brightness.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.strip import Strip
from textual.widget import Widget

from engine.plan.errors import inert
from lora_tui.aside import aside
from lora_tui.widgets.colours import repaint
from lora_tui.widgets.paint import DIM, line

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

Mode = Literal["half", "cell", "letters"]
MOST_PIXELS = 120_000_000  # a larger picture would take the app's memory; ours are a hundredth of that
THUMBNAILS_KEPT = 64  # at some 30 kB each
LETTERS = " .:-=+*#%@"


@dataclass(frozen=True)
class Thumbnail:
    """RGB bytes, row by row; or, with `trouble`, a sentence saying why there is no picture.

    `palette`: the bytes are numbers of the 256-colour palette, one a pixel.
    """

    width: int = 0
    height: int = 0
    pixels: bytes = b""
    palette: bool = False
    trouble: str = ""


_kept: OrderedDict[tuple[object, ...], Thumbnail] = OrderedDict()
_reading = threading.Lock()  # one picture at a time: a training may be at work on the same cores


def thumbnail(path: Path, width: int, height: int, palette: bool = False) -> Thumbnail:
    """The picture, made to fit into `width` × `height` pixels. Never raises."""
    try:
        stat = path.stat()
    except (OSError, ValueError) as error:
        why = "is not there (any more)" if isinstance(error, FileNotFoundError) else "cannot be read"
        return Thumbnail(trouble=f"The picture {inert(path.name)} {why}.")
    key = (str(path), stat.st_mtime_ns, stat.st_size, width, height, palette)
    with _reading:
        if key in _kept:
            _kept.move_to_end(key)
            return _kept[key]
        made = _read(path, width, height, palette)
        _kept[key] = made
        if len(_kept) > THUMBNAILS_KEPT:
            _kept.popitem(last=False)
    return made


def _read(path: Path, width: int, height: int, palette: bool) -> Thumbnail:
    from PIL import Image, ImageOps

    from engine.plan.pictures import formats

    name = inert(path.name)
    try:
        with Image.open(path, formats=formats()) as opened:
            if opened.width * opened.height > MOST_PIXELS:
                size = f"{opened.width} × {opened.height}"
                return Thumbnail(trouble=f"The picture {name} is too large to be shown here ({size}).")
            opened.draft("RGB", (width * 2, height * 2))  # lets a JPEG be decoded at about the size that is needed
            picture = ImageOps.exif_transpose(opened).convert("RGB")
            picture.thumbnail((width, height), Image.Resampling.LANCZOS)
            if palette:
                picture = picture.quantize(palette=_palette_picture(), dither=Image.Dither.FLOYDSTEINBERG)
            return Thumbnail(picture.width, picture.height, picture.tobytes(), palette)
    except Image.DecompressionBombError:
        return Thumbnail(trouble=f"The picture {name} is too large to be shown here.")
    except Exception:  # Pillow raises all kinds of things for damaged files
        return Thumbnail(trouble=f"The picture {name} cannot be read; it may be damaged.")


def _palette_picture() -> PILImage:
    """The 240 colours of the 256 that look the same everywhere; the first 16 are each user's own."""
    from PIL import Image

    levels = (0, 95, 135, 175, 215, 255)
    colours = [(red, green, blue) for red in levels for green in levels for blue in levels]
    colours += [(8 + 10 * step,) * 3 for step in range(24)]
    picture = Image.new("P", (1, 1))
    picture.putpalette([part for colour in colours for part in colour])
    return picture


def strips(made: Thumbnail, mode: Mode) -> list[Strip]:
    """The thumbnail as rows of cells; neighbours that look the same are one segment, to send fewer bytes."""
    step = 3 if not made.palette else 1
    row_bytes = made.width * step
    colours: dict[bytes, Color] = {}
    styles: dict[tuple[bytes, bytes], Style] = {}

    def colour(pixel: bytes) -> Color:
        found = colours.get(pixel)
        if found is None:
            found = Color.from_ansi(16 + pixel[0]) if made.palette else Color.from_rgb(*pixel)
            colours[pixel] = found
        return found

    def cell(upper: bytes, lower: bytes) -> Segment:
        style = styles.get((upper, lower))
        if style is None:
            style = styles[upper, lower] = Style(color=colour(upper), bgcolor=colour(lower))
        return Segment(" " if mode == "cell" or upper == lower else "▀", style)

    rows = []
    pixels_per_row = 2 if mode == "half" else 1
    for y in range(0, made.height, pixels_per_row):
        upper = made.pixels[y * row_bytes : (y + 1) * row_bytes]
        lower = made.pixels[(y + 1) * row_bytes : (y + 2) * row_bytes] if mode == "half" else upper
        pairs = [(upper[x : x + step], lower[x : x + step] or b"\0" * step) for x in range(0, row_bytes, step)]
        if mode == "letters":
            rows.append(Strip([Segment("".join(LETTERS[_brightness(pixel)] for pixel, _ in pairs))], made.width))
        else:
            rows.append(Strip(Segment.simplify(cell(*pair) for pair in pairs), made.width))
    return rows


def _brightness(pixel: bytes) -> int:
    red, green, blue = pixel
    return (299 * red + 587 * green + 114 * blue) * (len(LETTERS) - 1) // 255_000


class Picture(Widget):
    """Shows one picture as large as there is room, in the middle. `show_path(None)` shows nothing."""

    ALLOW_SELECT = False

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._path: Path | None = None
        self._asked: tuple[object, ...] = ()
        self._rows: list[Strip] = []
        self._sentence = ""

    @property
    def sentence(self) -> str:
        """What stands there instead of a picture; "" while there is one."""
        return self._sentence

    def show_path(self, path: Path | None) -> None:
        """Show this file from now on. Until it has been read the picture before it stays."""
        self._path = path
        self._load()

    def on_resize(self) -> None:
        self._load()

    def notify_style_update(self) -> None:
        """Another theme may have been chosen, such as the one without colours."""
        super().notify_style_update()
        self._load()

    def mode(self) -> Mode:
        """How this terminal is painted on."""
        if self.app.console.color_system is None or self.app.no_color:
            return "letters"
        return "cell" if getattr(self.app, "ascii_only", False) else "half"

    def _load(self) -> None:
        width, height = self.size
        if not width or not height:
            return
        if self._path is None:
            self._shown((), Thumbnail(), "")
        elif not getattr(self.app, "images", True):
            self._shown((), Thumbnail(trouble=inert(self._path)), "half")
        else:
            self._ask(self._path, width, height)

    def _ask(self, path: Path, width: int, height: int) -> None:
        mode = self.mode()
        # A cell is about twice as high as it is wide: only two pixels a cell are square.
        across = width if mode == "half" else width // 2
        palette = self.app.console.color_system != "truecolor" and mode != "letters"
        wanted = (path, width, height, mode, palette)
        if wanted == self._asked:
            return
        self._asked = wanted
        room = (across, height * 2) if mode == "half" else (across, height)

        def shown(made: Thumbnail) -> None:
            if self._asked == wanted and self.is_attached:
                self._shown(wanted, made, mode)

        aside(lambda: thumbnail(path, *room, palette=palette), shown)

    def _shown(self, asked: tuple[object, ...], made: Thumbnail, mode: Mode | Literal[""]) -> None:
        before = (self._rows, self._sentence)
        self._asked = asked
        self._sentence = made.trouble
        self._rows = strips(made, mode) if mode and made.pixels else []
        if mode in ("cell", "letters"):
            self._rows = [_doubled(row) for row in self._rows]
        if before != (self._rows, self._sentence):
            self.refresh()

    def render_line(self, y: int) -> Strip:
        width, height = self.size
        style = self.rich_style
        if self._sentence:
            words = _wrapped(self._sentence, width)
            said = words[y] if y < len(words) else Text()
            said = repaint(said, self.app.theme)
            return Strip(said.render(self.app.console)).adjust_cell_length(width, style).apply_style(style)
        above = (height - len(self._rows)) // 2
        if not above <= y < above + len(self._rows):
            return Strip.blank(width, style)
        row = self._rows[y - above]
        left = (width - row.cell_length) // 2
        return Strip.join([Strip.blank(left, style), row]).adjust_cell_length(width, style).apply_style(style)


def _doubled(row: Strip) -> Strip:
    """The row with every cell twice, so that a square stays one."""
    return Strip([Segment("".join(2 * letter for letter in text), style) for text, style, _ in row])


def _wrapped(sentence: str, width: int) -> list[Text]:
    import textwrap

    return [line((words, DIM)) for words in textwrap.wrap(sentence, max(10, width))]
