"""Captioners that look at no picture: the file's name, or the class alone."""

from __future__ import annotations

import re
from collections.abc import Sequence

from engine.caption.captioner import Shown

_SAYS_NOTHING = re.compile(
    r"(?:(?:img|mvimg|cimg|dsc[nf]?|pxl|pict|sam|gopr|dji|p)[ -]?(?=\d{4}))?\d(?:[\d\s().-]|wa(?=\d))*", re.IGNORECASE
)
"""A number, a date, or what cameras and telephones call a picture: IMG_1234, DSC00012, PXL_20230101_120000."""
_NUMBER = re.compile(r"[\s(]*\d+\)?$|^\d+\s+")


class FileNames:
    """`red_hat (2).png` says "red hat": what cameras and copies put behind or in front of a name is no description.

    A name that says nothing is taken for the class; without one the trigger word is all that is known.
    """

    def caption(self, pictures: Sequence[Shown]) -> list[str]:
        return [_words(shown.path.stem) or shown.class_name or shown.trigger for shown in pictures]


class ClassOnly:
    """The class of what the folder shows; the trigger word comes in front as with every captioner."""

    def caption(self, pictures: Sequence[Shown]) -> list[str]:
        return [shown.class_name for shown in pictures]


def _words(stem: str) -> str:
    """What a name says; "" where that is nothing."""
    text = re.sub(r"[_\s]+", " ", stem).strip()
    if _SAYS_NOTHING.fullmatch(text):
        return ""
    shorter = _NUMBER.sub("", text).strip()
    return shorter or text
