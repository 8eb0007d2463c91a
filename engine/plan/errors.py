"""What goes wrong, in words for people: `UserError` ends what was asked, a `Finding` is told and work goes on.

Names of files, captions and checkpoints come from strangers and end in terminals and logs, so every message is made
inert here, once, and not at each place that writes one.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Level = Literal["note", "warning", "error"]

MAX_INERT_CHARACTERS = 1000
"""Longer texts are cut: a message is a sentence, and no file name that an operating system allows is longer."""

# Cc: control characters with ESC, Cf: bidirectional overrides and zero-width characters, Cs: bytes of a file name that
# are not UTF-8 (printing them raises), Zl and Zp: line ends that only some programs know, Co and Cn: unassigned.
_UNSAFE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp", "Co", "Cn"})


class UserError(Exception):
    """Something that the user can mend.

    code: kebab-case, for programs. message: one sentence saying what is wrong and where. hint: how to mend it, or "".
    """

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        self.code = code
        self.message = inert(message)
        self.hint = inert(hint)
        super().__init__(self.message, self.hint)

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()

    def __reduce__(self) -> tuple[type[UserError], tuple[str, str, str]]:
        return (type(self), (self.code, self.message, self.hint))


@dataclass(frozen=True)
class Finding:
    """Something worth saying about a project; work can go on.

    option and value: the setting that would mend it, where one would; also: those that change with it.
    blocks_training: `train` refuses until it is mended or accepted; an "error" always does.
    overridable: `--accept-warnings` may overrule that; False where training could not run at all.
    """

    code: str
    message: str
    hint: str = ""
    level: Level = "warning"
    option: str | None = None
    value: object = None
    blocks_training: bool = False
    overridable: bool = True
    also: tuple[tuple[str, object], ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", inert(self.message))
        object.__setattr__(self, "hint", inert(self.hint))

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()

    @property
    def changes(self) -> dict[str, object]:
        """Every option that mends it, with its value; empty where none does."""
        return {self.option: self.value, **dict(self.also)} if self.option and self.value is not None else {}

    def stops_training(self, *, accept_warnings: bool = False) -> bool:
        """Whether `train` has to refuse because of this finding."""
        if not (self.blocks_training or self.level == "error"):
            return False
        return not (accept_warnings and self.overridable)

    def as_error(self) -> UserError:
        """The same words as an error, for the command that refuses."""
        return UserError(self.code, self.message, self.hint)

    def as_json(self) -> dict[str, object]:
        """The finding as the `--json` commands print it."""
        answer: dict[str, object] = {
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
            "level": self.level,
        }
        if self.option is not None:
            answer |= {"option": self.option, "value": self.value}
        if self.also:
            answer["also"] = dict(self.also)
        return answer


def inert(text: object, limit: int = MAX_INERT_CHARACTERS) -> str:
    """`text` with everything a terminal could obey written out (`\\x1b`, `\\u202e`, `\\n`), cut to `limit` characters.

    Applying it twice changes nothing.
    """
    whole = str(text)
    shown = whole[:limit] + "…" if len(whole) > limit + 1 else whole
    if shown.isprintable() and shown.isascii():
        return shown
    return "".join(_escaped(c) if unicodedata.category(c) in _UNSAFE_CATEGORIES else c for c in shown)


def few(items: Iterable[str], show: int = 3, of: int = 0) -> str:
    """Some names for a sentence: `a, b, c and 4 more`. of: how many there are, where not all of them are given."""
    names = list(items)
    more = max(of, len(names)) - min(show, len(names))
    return f"{', '.join(names[:show])} and {more:,} more" if more else ", ".join(names)


def either(words: Iterable[str]) -> str:
    """Words for a sentence: `"ohwx" or "rexo"`."""
    return " or ".join(f'"{word}"' for word in words)


def are(count: int) -> str:
    """The verb for so many."""
    return "is" if count == 1 else "are"


def plural(count: int, one: str, many: str = "") -> str:
    """A count with its noun: `1 picture`, `10,000 pictures`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def _escaped(character: str) -> str:
    named = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character)
    if named:
        return named
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
