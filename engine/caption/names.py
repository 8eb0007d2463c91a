"""Captioners that look at no picture: the file's name, or the class alone."""

from __future__ import annotations

import re
from collections.abc import Sequence

from engine.caption.captioner import Shown
from engine.plan.folders import split_class_words

_NUMBER = re.compile(r"[\s(]*\d+\)?$|^\d+\s+")


class FileNames:
    """`red_hat (2).png` says "red hat": what cameras and copies put behind or in front of a name is no description."""

    def caption(self, pictures: Sequence[Shown]) -> list[str]:
        return [_words(shown.path.stem) for shown in pictures]


class ClassOnly:
    """The project's class, or that of the folder; the trigger word comes in front as with every captioner."""

    def __init__(self, class_name: str) -> None:
        self._class_name = class_name

    def caption(self, pictures: Sequence[Shown]) -> list[str]:
        return [self._class_name or split_class_words(shown.class_words)[1] for shown in pictures]


def _words(stem: str) -> str:
    text = re.sub(r"[_\s]+", " ", stem).strip()
    shorter = _NUMBER.sub("", text).strip()
    return shorter or text
