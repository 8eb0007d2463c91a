"""What a caption would say of an ordinary member of the class: the caption without the trigger word."""

from __future__ import annotations

import re
from functools import lru_cache

from engine.plan.captions import has_word

_LETTER = r"[^\W_]"


def class_words(words: str, trigger: str, class_name: str) -> str | None:
    """`ohwx, a photo of a man` → `a photo of a man`, `a photo of ohwx` → `a photo of man`; None where the trigger does
    not stand in `words`.

    The class takes the trigger's place where it is not named otherwise, or where the trigger stands in the brackets of
    a weight, of which nothing may be left empty.
    """
    alone = _alone(trigger)
    if not trigger or not alone.search(words):
        return None
    rest = alone.sub("", words)
    if not has_word(rest, class_name) or re.search(r"[(\[]\s*[:)\]]", rest):
        return alone.sub(lambda _: class_name, words)
    rest = re.sub(r"\s+", " ", rest)
    rest = re.sub(r"(\s?,)+", ",", rest)  # ", ," is left where the trigger was a tag of its own
    return rest.strip(" ,")


@lru_cache(maxsize=64)
def _alone(word: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!{_LETTER}){re.escape(word)}(?!{_LETTER})", re.IGNORECASE)
