"""What a captioning run says of itself in the end: how many captions were written, and what became of the others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from engine.plan.errors import few, inert, plural
from engine.runs.captions import Done

NAME_CHARACTERS = 40
_REASONS = {
    "broken-picture": ("picture cannot be read", "pictures cannot be read"),
    "caption-not-utf8": ("caption is not UTF-8", "captions are not UTF-8"),
    "caption-unreadable": ("caption cannot be read", "captions cannot be read"),
    "caption-changed": ("caption was changed meanwhile", "captions were changed meanwhile"),
    "nothing-said": ("picture of which nothing was found to say", "pictures of which nothing was found to say"),
}
"""By code, in the order in which they are told: one, several."""
_OTHER = ("picture for another reason", "pictures for another reason")


def in_words(count: Mapping[str, int], model: str, missing: int, skipped: Iterable[Done]) -> str:
    """One sentence, such as `7 captions written with micro, 2 stayed as they were, 1 skipped: …`.

    count: pictures by state. missing: how many a stopped run has not come to; 0 for one that is through.
    """
    parts = [f"{plural(count['written'], 'caption')} written with {inert(model)}"]
    if same := count["unchanged"]:
        parts.append(f"{same:,} stayed as {'it was' if same == 1 else 'they were'}")
    parts += [f"{count['kept']:,} kept"] if count["kept"] else []
    parts += [f"{missing:,} still to come"] if missing else []
    if why := why_skipped(skipped):
        parts.append(f"{count['skipped']:,} skipped: {why}")
    said = f"{', '.join(parts)}."
    return f"Stopped: {said} The same again goes on from there." if missing else said


def why_skipped(skipped: Iterable[Done]) -> str:
    """Each reason with the names of a few pictures: `5 pictures cannot be read (a.png, b.png, c.png and 2 more)`."""
    names: dict[str, list[str]] = {}
    for done in skipped:
        name = inert(PurePosixPath(done.path).name, NAME_CHARACTERS)
        names.setdefault(done.code if done.code in _REASONS else "", []).append(name)
    return ", ".join(
        f"{plural(len(names[code]), *words)} ({few(names[code])})"
        for code, words in (*_REASONS.items(), ("", _OTHER))
        if code in names
    )
