"""What can be done to captions: each operation makes of one caption another, and nothing is written.

An operation that has nothing to do gives back the very text it was given, and doing it twice does no more than once.
Find and replace is `find_replace`; what people do to the tags of one caption is the app's `caption_chips`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.plan import tags
from engine.plan.caption_files import one_line
from engine.plan.captions import has_word
from engine.plan.tags import folded

Operation = Callable[[str], str]

_EDGES = " \t,"


@dataclass(frozen=True)
class Change:
    """One caption's change. before: what it was read as, None where there was no file; after: what is to be written.

    seen: `caption_files.digest_of` the file when it was read, where that is known. Without it the text alone tells
    whether another program has changed the caption since.
    """

    picture: Path
    before: str | None
    after: str
    seen: str | None = None


def changes(captions: Mapping[Path, str | None], operation: Operation) -> list[Change]:
    """What `operation` would change, by picture, in their order; captions that stay as they are are not in it.

    Raises what the operation raises: UserError `bad-pattern` of `replaced`.
    """
    found = []
    for picture, before in captions.items():
        text = before or ""
        after = operation(text)
        if after != text and (after := one_line(after)) != text:
            found.append(Change(picture, before, after))
    return found


def prefixed(words: str) -> Operation:
    """`words` in front, such as the trigger and a comma; not where they stand in front already, capitals aside."""
    bare = words.strip(_EDGES)
    comma = "," if words.strip().endswith(",") else ""

    def operation(text: str) -> str:
        if not bare or _begins(text, bare):
            return text
        rest = text.lstrip(_EDGES)
        return f"{bare}{comma} {rest}" if rest else bare

    return operation


def suffixed(words: str) -> Operation:
    """`words` at the end; not where they stand at the end already, capitals aside."""
    bare = words.strip(_EDGES)
    comma = "," if words.strip().startswith(",") else ""

    def operation(text: str) -> str:
        if not bare or _begins(text[::-1], bare[::-1]):
            return text
        rest = text.rstrip()
        rest = rest.rstrip(_EDGES) + (comma or ("," if rest.endswith(",") else ""))
        return f"{rest} {bare}" if rest.strip(_EDGES) else bare

    return operation


def _begins(text: str, bare: str) -> bool:
    """Whether a text begins with these words, and not only with their letters."""
    start = text.lstrip(_EDGES)
    if start[: len(bare)].lower() != bare.lower():
        return False
    after = start[len(bare) : len(bare) + 1]
    return not (after.isalnum() and bare[-1].isalnum())


def without_tag(tag: str, separator: str = ",") -> Operation:
    """Every tag that is just this one goes."""
    return _on_tags(lambda there: [one for one in there if one != tag.strip()], separator)


def renamed_tags(olds: Iterable[str], new: str, separator: str = ",") -> Operation:
    """All of `olds` become `new`, at the place of the first; where it was there already, it is there once."""
    gone, into = {old.strip() for old in olds}, new.strip()

    def renamed(there: list[str]) -> list[str]:
        if gone.isdisjoint(there):
            return there
        after = [into if tag in gone else tag for tag in there]
        return [tag for place, tag in enumerate(after) if tag and (tag != into or tag not in after[:place])]

    return _on_tags(renamed, separator)


def sorted_tags(trigger: str = "", separator: str = ",") -> Operation:
    """Tags by the alphabet, capitals aside, the trigger in front of them.

    Where it is no tag of its own, a first tag that has it among its words (`zibo man`) stays in front.
    """
    alone = folded(trigger)

    def in_order(there: list[str]) -> list[str]:
        if not trigger:
            return sorted(there, key=folded)
        front = [tag for tag in there if folded(tag) == alone]
        rest = [tag for tag in there if folded(tag) != alone]
        if not front and rest and has_word(rest[0], trigger):
            front, rest = rest[:1], rest[1:]
        return front + sorted(rest, key=folded)

    return _on_tags(in_order, separator)


def without_repeated_tags(separator: str = ",") -> Operation:
    """Each tag once, at its first place; capitals do not make another tag, since CLIP reads none."""

    def once(there: list[str]) -> list[str]:
        kept: dict[str, str] = {}
        for tag in there:
            kept.setdefault(folded(tag), tag)
        return list(kept.values())

    return _on_tags(once, separator)


def trimmed(separator: str = ",") -> Operation:
    """One space where there were several, none before a comma, no comma twice, and none at the ends."""
    mark = separator.strip() or ","
    twice = re.compile(rf"\s*{re.escape(mark)}(?:\s*{re.escape(mark)})+")
    edges = re.compile(rf"^(?:\s|{re.escape(mark)})+|(?:\s|{re.escape(mark)})+$")

    def operation(text: str) -> str:
        text = twice.sub(mark, edges.sub("", " ".join(text.split())))
        return re.sub(r" +,", ",", text)

    return operation


def _on_tags(operation: Callable[[list[str]], list[str]], separator: str) -> Operation:
    """An operation on the list of tags; a text whose list stays the same is left as it is."""

    def on_text(text: str) -> str:
        before = tags.split(text, separator)
        after = operation(before)
        return text if after == before else tags.join(after, separator)

    return on_text
