"""Which known name somebody meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping


def nearest(name: str, known: Iterable[str], other_names: Mapping[str, str] | None = None) -> str:
    """The known name that a mistyped one is most like."""
    aliases = other_names or {}
    plain = name.strip().strip("-").lower().replace("-", "_").replace(" ", "_")[:80]
    names = list(known)
    close = difflib.get_close_matches(plain, [*names, *aliases], n=1, cutoff=0.0)
    if plain not in names and plain in aliases:
        return aliases[plain]
    return aliases.get(close[0], close[0]) if close else ""


def nearest_few(name: str, known: Mapping[str, str], count: int = 3) -> list[str]:
    """The names (values of `known`) whose keys a mistyped one is most like, the likest first."""
    close = difflib.get_close_matches(name[:80], list(known), n=count, cutoff=0.5)
    return list(dict.fromkeys(known[key] for key in close))
