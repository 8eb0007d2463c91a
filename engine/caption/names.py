"""Captioners that look at no picture: the file's name, or the class alone."""

from __future__ import annotations

import re
from collections.abc import Sequence

from engine.caption.captioner import Shown

_NUMBER = re.compile(r"[\s(]*\d+\)?$|^\d+\s+")


class FileNames:
    """`red_hat (2).png` says "red hat": what cameras and copies put behind or in front of a name is no description."""

    def caption(self, pictures: Sequence[Shown]) -> list[str]:
        return [_words(shown.path.stem) for shown in pictures]


class ClassOnly:
    """The class of what the folder shows; the trigger word comes in front as with every captioner."""

    def caption(self, pictures: Sequence[Shown]) -> list[str]:
        return [shown.class_name for shown in pictures]


def _words(stem: str) -> str:
    text = re.sub(r"[_\s]+", " ", stem).strip()
    shorter = _NUMBER.sub("", text).strip()
    return shorter or text
