"""Picture files: which files are pictures, how large one is as people see it, whether it is whole, and its pixels.

Files are only ever read. Unlike sd-scripts, the orientation that a camera notes in EXIF is obeyed (sd-scripts#1316:
there, portraits from phones are trained lying on their side).
"""

from __future__ import annotations

import logging
import struct
import warnings
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from engine.plan import picture_kinds
from engine.plan.errors import Finding, UserError, plural
from engine.plan.files import Stamp, reading_errors, stamp_of
from engine.plan.picture_kinds import of_other_kinds, other_kind, plugin_formats

EXTENSIONS = picture_kinds.EXTENSIONS

# Formats that are read whatever the file's name ends in. Not all of Pillow's: for EPS it starts Ghostscript, a program.
_FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "BMP", "DIB", "GIF", "TIFF", "AVIF", "JPEG2000", "PPM", "QOI")
logging.getLogger("PIL").addHandler(logging.NullHandler())  # else what it says of odd files goes over the screen

_ORIENTATION = 0x0112
_TURNED = frozenset({5, 6, 7, 8})  # EXIF orientations that swap width and height
_ORIENTATIONS = range(2, 9)  # all but 1, which is upright

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_TEXTS = frozenset({b"iTXt", b"tEXt", b"zTXt"})
# Other texts, such as the prompt that A1111 writes into every picture, say nothing of its orientation.
_PNG_TEXTS_WITH_EXIF = (b"Raw profile type exif\0", b"XML:com.adobe.xmp\0")
_JPEG_END = b"\xff\xd9"
# Cameras put some bytes after the end of a JPEG; where the end is further away, decoding decides.
_JPEG_TAIL_BYTES = 4096
_CRC_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class Size:
    """Width and height in pixels after EXIF orientation; 0 where the file cannot be read, `problem` says why.

    alpha: the file says how opaque each pixel is. animated: it has several frames. turned: EXIF says to turn it.
    """

    width: int
    height: int
    problem: str = ""
    alpha: bool = False
    animated: bool = False
    turned: bool = False


class _BrokenError(Exception):
    """A picture that is not whole; the text finishes the sentence "it cannot be read: …"."""


def picture_files(folder: Path) -> tuple[list[Path], list[Finding]]:
    """The pictures directly in `folder`, sorted by name as sd-scripts does, and findings about odd things there.

    Hidden files (macOS leaves `._x.png` beside `x.png`) are passed over. Raises UserError `not-readable`.
    """
    with reading_errors(folder):
        pictures, odd, nested, foreign = [], [], [], []
        # By name alone: to compare whole paths is what took longest of all where there are thousands.
        for path in sorted((p for p in folder.iterdir() if not p.name.startswith(".")), key=lambda path: path.name):
            if path.suffix.lower() not in EXTENSIONS:
                if other_kind(path.name) and path.is_file():
                    foreign.append(path.name)
                elif path.is_dir() and _holds_pictures(path):
                    nested.append(path)
            elif path.is_file():
                pictures.append(path)
            else:
                odd.append(path)
    findings = [
        Finding(
            "not-a-picture",
            f'"{path.name}" in {folder.name} is named like a picture but is '
            f"{'a folder' if path.is_dir() else 'a link that leads nowhere' if path.is_symlink() else 'not a file'}.",
            "It is not used.",
        )
        for path in odd
    ]
    findings += [
        Finding(
            "pictures-too-deep",
            f'The folder "{path.name}" inside {folder.name} holds pictures that are not used.',
            f"Move them up into {folder.name}: folders inside it are not searched.",
        )
        for path in nested
    ]
    return pictures, findings + of_other_kinds(folder, foreign)


class Measures:
    """`measure` with a memory: a file that has kept its size and its times is not read again.

    known: what it begins with, by path. read: how many files it had to read.
    """

    def __init__(self, known: Mapping[Path, tuple[Stamp, Size]] | None = None) -> None:
        self.known = dict(known or {})
        self.read = 0

    def __call__(self, path: Path) -> Size:
        stamp = stamp_of(path)
        if stamp is None:
            return measure(path)
        known = self.known.get(path)
        if known is None or known[0] != stamp:
            known = self.known[path] = (stamp, measure(path))
            self.read += 1
        return known[1]


def measure(path: Path) -> Size:
    """The size of a picture as people see it, after making sure that the file is whole. Never raises for a bad file.

    PNG files are checked by their checksums and JPEG files by their end, which is some ten times as fast as decoding;
    everything else is decoded.
    """
    try:
        with warnings.catch_warnings(), open(path, "rb") as file:
            warnings.simplefilter("ignore")  # Pillow warns of odd EXIF and large pictures; the findings say it better
            with Image.open(file, formats=formats()) as image:
                orientation = _check_whole_and_read_orientation(path, image)
                width, height = image.size
                alpha, animated = image.has_transparency_data, _is_animated(image)
    except MemoryError:
        return Size(0, 0, "it needs more memory than there is")
    except Image.DecompressionBombError:
        return Size(0, 0, "it has too many pixels")
    except Exception as error:  # decoders given broken files raise anything, from SyntaxError to struct.error
        return Size(0, 0, _reason(path, error))
    if width < 1 or height < 1:
        return Size(0, 0, "it has no pixels")
    if orientation in _TURNED:
        width, height = height, width
    return Size(width, height, alpha=alpha, animated=animated, turned=orientation in _ORIENTATIONS)


def load(path: Path) -> Image.Image:
    """The pixels of a picture as people see it: EXIF orientation applied, RGB, 8 bits a channel.

    Transparency is dropped as in sd-scripts: what lies under it is trained (`load_with_alpha` gives both). 16-bit grey
    is scaled, where sd-scripts (through Pillow) makes it white. Of an animation it is the first frame.
    Raises UserError `broken-picture`.
    """
    with _damage(path):
        return rgb(_upright(path))


def load_with_alpha(path: Path) -> tuple[Image.Image, Image.Image | None]:
    """As `load`, and beside it how opaque each pixel is (mode L, 255 is opaque); None for a picture without alpha."""
    with _damage(path):
        upright = _upright(path)
        alpha = upright.convert("RGBA").getchannel("A") if upright.has_transparency_data else None
        return rgb(upright), alpha


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except Exception as error:
        raise UserError(
            "broken-picture", f"The picture {path} cannot be read: {_reason(path, error)}.", "Leave it out."
        ) from error


def _upright(path: Path) -> Image.Image:
    with Image.open(path, formats=formats()) as image:
        image.load()
        return ImageOps.exif_transpose(image)


@cache
def formats() -> tuple[str, ...]:
    """The formats that may be opened, whatever a file's name ends in; Pillow's names."""
    Image.init()
    more = plugin_formats()
    return tuple(name for name in dict.fromkeys((*_FORMATS, *more)) if name in Image.OPEN)


def rgb(upright: Image.Image) -> Image.Image:
    # 16-bit grey: "I;16", or "I" where Pillow has no such mode for the format.
    if upright.mode.startswith("I;16") or (upright.mode == "I" and _brightest(upright) > 255):
        upright = upright.convert("I").point(lambda value: value * (1 / 257)).convert("L")
    elif upright.mode == "F" and _brightest(upright) <= 1:  # grey as fractions, where Pillow reads 0 to 255
        upright = upright.point(lambda value: value * 255)
    return upright.convert("RGB")


def _brightest(grey: Image.Image) -> float:
    _, most = grey.getextrema()
    assert isinstance(most, int | float)
    return most


def _check_whole_and_read_orientation(path: Path, image: Image.Image) -> int:
    """EXIF orientation, 1 to 8. Raises anything where the file is not whole."""
    if image.format == "PNG":
        # Asking Pillow for a PNG's EXIF decodes all of it, since it may stand at the end.
        if not _check_png(path):
            return 1
    elif image.format != "JPEG" or not _ends_as_jpeg(path):
        image.load()
    orientation = image.getexif().get(_ORIENTATION, 1)
    return orientation if isinstance(orientation, int) else 1


def _is_animated(image: Image.Image) -> bool:
    """Several frames in time; what cameras put into an MPO file beside the photograph is no animation."""
    return image.format != "MPO" and bool(getattr(image, "is_animated", False))


def _check_png(path: Path) -> bool:
    """Whether a PNG whose checksums are all right holds EXIF in any of its ways. Raises _BrokenError."""
    pixels = exif = False
    with open(path, "rb") as file:
        if file.read(8) != _PNG_SIGNATURE:
            raise _BrokenError("its first bytes are not those of a PNG")
        while True:
            header = file.read(8)
            if len(header) < 8:
                raise _BrokenError("the file ends too early")
            length, kind = struct.unpack(">I4s", header)
            checksum = zlib.crc32(kind)
            pixels, exif = pixels or kind == b"IDAT", exif or kind == b"eXIf"
            keyword = kind in _PNG_TEXTS
            while length:
                block = file.read(min(length, _CRC_BLOCK_BYTES))
                exif, keyword = exif or (keyword and block.startswith(_PNG_TEXTS_WITH_EXIF)), False
                if not block:
                    raise _BrokenError("the file ends too early")
                checksum = zlib.crc32(block, checksum)
                length -= len(block)
            stored = file.read(4)
            if kind == b"IEND":
                break
            if len(stored) < 4:
                raise _BrokenError("the file ends too early")
            if int.from_bytes(stored, "big") != checksum:
                raise _BrokenError("a checksum inside it is wrong, so the file was damaged")
    if not pixels:
        raise _BrokenError("it holds no pixels")
    return exif


def _ends_as_jpeg(path: Path) -> bool:
    with open(path, "rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _JPEG_TAIL_BYTES))
        return _JPEG_END in file.read()


def _holds_pictures(folder: Path) -> bool:
    try:
        return any(p.suffix.lower() in EXTENSIONS and not p.name.startswith(".") for p in folder.iterdir())
    except OSError:
        return False


def _reason(path: Path, error: Exception) -> str:
    if isinstance(error, _BrokenError):
        return str(error)
    if isinstance(error, PermissionError):
        return "you may not read it"
    if isinstance(error, Image.DecompressionBombError):
        return "it has too many pixels"
    try:
        size = path.stat().st_size
    except OSError as missing:
        return (missing.strerror or "it is not there").lower()
    if size == 0:
        return "the file is empty"
    if isinstance(error, UnidentifiedImageError):
        return f"its {plural(size, 'byte')} {'is' if size == 1 else 'are'} not a picture"
    if "truncated" in str(error).lower():
        return "the file ends too early"
    return "it is damaged"
