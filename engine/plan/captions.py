"""Caption files: where a picture's caption stands and which text counts, after sd-scripts
(`train_util.DreamBoothDataset.read_caption`).

Where sd-scripts stops the whole run (an empty file), this goes on with a finding.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from engine.plan.errors import Finding, UserError
from engine.plan.files import Stamp, stamp_of

MAX_CAPTION_BYTES = 1 << 20
"""A larger file is no caption; CLIP reads some 300 bytes of it."""

_FACE_CROP_PARTS = 4  # a face crop's name ends in four numbers: x, y, width, height


@dataclass(frozen=True)
class Caption:
    """text: what is trained. path: the file it came from, None where there is none. problem: what is odd about it.

    lines: those of its lines that are not empty, which `enable_wildcard` chooses from.
    """

    text: str
    path: Path | None
    problem: Finding | None = None
    lines: tuple[str, ...] = ()

    @property
    def further(self) -> bool:
        """Whether its file has lines with words besides its first."""
        return any(self.lines) and (len(self.lines) > 1 or not self.text)


class NotUTF8Error(UserError):
    """A caption file that is not UTF-8. byte: where it stops being so, from 0."""

    def __init__(self, path: Path, byte: int) -> None:
        super().__init__(
            "caption-not-utf8",
            f"The caption {path} is not UTF-8 at byte {byte}.",
            'Save it again with the encoding "UTF-8", or open it at step 4, which offers other ways to read it.',
        )
        self.path = path
        self.byte = byte

    def __reduce__(self) -> tuple[type[NotUTF8Error], tuple[Path, int]]:  # type: ignore[override]
        return (type(self), (self.path, self.byte))


def caption_candidates(picture: Path, extension: str) -> tuple[Path, ...]:
    """Where the caption of `picture` may stand, best first.

    Its own name with the caption's ending; and, for names of five or more parts (`anna_3_10_20_64_64`: face crops),
    the name without the last four.
    """
    parts = picture.stem.split("_")
    stems = [picture.stem]
    if len(parts) > _FACE_CROP_PARTS:
        stems.append("_".join(parts[:-_FACE_CROP_PARTS]))
    return tuple(picture.with_name(stem + extension) for stem in stems if stem)


def read_caption(picture: Path, extension: str, class_words: str) -> Caption:
    """The caption of a picture: the first line of its file without spaces around it.

    A missing or empty file means the class words of the folder, or "" where it has none. A file whose first line is
    blank means "", as in sd-scripts. A byte-order mark is dropped, where sd-scripts trains it as a character.
    Raises NotUTF8Error.
    """
    path = caption_file(picture, extension)
    if path is None:
        return Caption(class_words, None, _missing(picture, extension, class_words))
    return _read(path, class_words)


class CaptionsRead:
    """`read_caption` with a memory: a file that has kept its size and its times is not read again."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[Stamp, str, Caption]] = {}

    def __call__(self, picture: Path, extension: str, class_words: str) -> Caption:
        path = caption_file(picture, extension)
        stamp = stamp_of(path) if path is not None else None
        if path is None or stamp is None:
            return read_caption(picture, extension, class_words)
        known = self._known.get(path)
        if known is None or known[:2] != (stamp, class_words):
            known = self._known[path] = (stamp, class_words, _read(path, class_words))
        return known[2]


def caption_file(picture: Path, extension: str) -> Path | None:
    """The caption file of a picture that there is."""
    return next((path for path in caption_candidates(picture, extension) if path.is_file()), None)


def _read(path: Path, class_words: str) -> Caption:
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_CAPTION_BYTES + 1)
    except OSError as error:
        return Caption(class_words, path, _unreadable(path, error.strerror or str(error), class_words))
    if len(data) > MAX_CAPTION_BYTES:
        return Caption(class_words, path, _unreadable(path, "it has over a million characters", class_words))
    try:
        lines = lines_of(data)
    except UnicodeDecodeError as error:
        raise NotUTF8Error(path, error.start) from None
    first, written = lines[0], tuple(line for line in lines if line)
    if not written:
        return Caption(class_words, path, _empty(path, class_words))
    if not first:
        return Caption("", path, _blank_first_line(path), written)
    return Caption(first, path, _more_lines(path) if len(written) > 1 else None, written)


def first_line(data: bytes) -> str:
    """What an editor shows of the bytes of a caption file, "" for a blank line. Raises UnicodeDecodeError."""
    return lines_of(data)[0]


def lines_of(data: bytes) -> list[str]:
    """All lines of a caption file without the spaces around them. Raises UnicodeDecodeError."""
    # Python's text files end lines at \n, \r\n and \r only; str.splitlines would also cut at form feeds and U+2028.
    text = data.decode("utf-8").removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    return [line.strip() for line in text.split("\n")]


def with_all_lines(caption: Caption) -> Caption:
    """The caption where every line of a file counts, as `enable_wildcard` has it: its text is the first with words."""
    if not caption.lines:
        return caption
    odd = caption.problem is not None and caption.problem.code in ("caption-lines", "caption-blank")
    return replace(caption, text=caption.lines[0], problem=None if odd else caption.problem)


def has_word(text: str, word: str) -> bool:
    """Whether `word`, such as the trigger, stands in a caption as a word of its own.

    Capital letters do not matter, since CLIP makes all letters small; nor what stands between words.
    """
    return _alone(word).search(text.casefold()) is not None


@lru_cache(maxsize=64)
def _alone(word: str) -> re.Pattern[str]:
    """The pattern of a word by itself; made once for thousands of captions."""
    letter = r"[^\W_]"
    return re.compile(rf"(?<!{letter}){re.escape(word.casefold())}(?!{letter})")


def _instead(class_words: str) -> str:
    return f'the words of its folder, "{class_words}", are used' if class_words else "an empty caption is used"


def _missing(picture: Path, extension: str, class_words: str) -> Finding:
    return Finding(
        "caption-missing",
        f"{picture.name} has no caption; {_instead(class_words)}.",
        f"Write {picture.stem}{extension} beside it.",
        level="note" if class_words else "warning",
    )


def _empty(path: Path, class_words: str) -> Finding:
    return Finding(
        "caption-empty",
        f"The caption {path.name} is empty; {_instead(class_words)}.",
        "Describe the picture in one line.",
    )


def _blank_first_line(path: Path) -> Finding:
    return Finding(
        "caption-blank",
        f"The first line of {path.name} is blank, and only the first line counts: the caption is empty.",
        "Remove the blank line.",
    )


def _more_lines(path: Path) -> Finding:
    return Finding(
        "caption-lines",
        f"{path.name} has several lines; only the first is used.",
        "Put everything on one line.",
        level="note",
    )


def _unreadable(path: Path, why: str, class_words: str) -> Finding:
    return Finding(
        "caption-unreadable",
        f"The caption {path.name} cannot be read ({why}); {_instead(class_words)}.",
    )
