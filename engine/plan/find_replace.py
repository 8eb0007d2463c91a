"""Find and replace in captions, also by regular expressions, of which none can make the program wait.

Patterns are those of the library `regex`, which reads all that `re` does and can be given a time to end in.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from engine.plan.errors import UserError, inert

if TYPE_CHECKING:
    import regex as regex_library

SECONDS = 2.0
"""So long all captions together may be searched; a good pattern takes a hundredth of it for 10,000."""

MOST_GROWN = 10_000_000
"""Letters that all captions together may get."""

_LONGEST = 1_000
_SHOWN = 80
_MOST_TIMES = 10_000
_TIMES = re.compile(r"\{\s*(\d*)\s*(?:,\s*(\d*)\s*)?\}")


def replaced(
    find: str, by: str, regex: bool = False, ignore_case: bool = False, seconds: float | None = None
) -> Callable[[str], str]:
    """`find` becomes `by` wherever it stands; with `regex` both are a regular expression and its template (`\\1`).

    Raises UserError `nothing-to-find`, and `bad-pattern`, for what is too long as well. The operation raises
    `bad-pattern` for a template with a group that is not there, `slow-pattern` where the captions given to it took more
    than `seconds` together, by default SECONDS, and `caption-too-long` where they grow by more than MOST_GROWN.
    """
    if not find:
        raise UserError("nothing-to-find", "What is to be found is missing.", "Type a word or a part of one.")
    if len(find) > _LONGEST or len(by) > _LONGEST:
        raise UserError("bad-pattern", f"More than {_LONGEST:,} letters cannot be found or put in.", "Take fewer.")
    if not regex:  # a text as it stands cannot take long
        plain = re.compile(re.escape(find), re.IGNORECASE if ignore_case else 0)
        return _bounded(lambda text: plain.sub(lambda _: by, text))
    return _bounded(_timed(_compiled(find, ignore_case), find, by, SECONDS if seconds is None else seconds))


def _bounded(operation: Callable[[str], str]) -> Callable[[str], str]:
    """The same as long as captions do not grow out of all bounds together."""
    grown = 0

    def bounded(text: str) -> str:
        nonlocal grown
        after = operation(text)
        grown += max(0, len(after) - len(text))
        if grown > MOST_GROWN:
            raise UserError(
                "caption-too-long", "The captions would grow by over ten million letters.", "Find less, or put in less."
            )
        return after

    return bounded


def _timed(pattern: regex_library.Pattern[str], find: str, template: str, seconds: float) -> Callable[[str], str]:
    """The substitution, for as long as all captions together may take."""
    import regex as library

    spent = 0.0

    def operation(text: str) -> str:
        nonlocal spent
        began = time.monotonic()
        try:
            return str(pattern.sub(template, text, timeout=max(seconds - spent, 0.001), concurrent=True))
        except TimeoutError:
            raise UserError(
                "slow-pattern",
                f'The pattern "{inert(find, _SHOWN)}" takes too long: it tries the same letters in too many ways.',
                "Repeat only once what repeats: a+ instead of (a+)+.",
            ) from None
        except (IndexError, ValueError, library.error) as error:
            raise UserError(
                "bad-pattern",
                f'"{inert(template, _SHOWN)}" cannot be put in: {error}.',
                r"\1 is what the first (…) found.",
            ) from None
        finally:
            spent += time.monotonic() - began

    return operation


def _compiled(find: str, ignore_case: bool) -> regex_library.Pattern[str]:
    import regex as library

    times = 1
    for least, most in _TIMES.findall(find):
        times *= max(1, int((least or "0")[:6]), int((most or "0")[:6]))
    if times > _MOST_TIMES:
        # Such counts are written out while a pattern is made, and take all memory there is.
        raise UserError("bad-pattern", "The {…} of this pattern count too far.", "A + repeats without counting.")
    try:
        return library.compile(find, library.IGNORECASE if ignore_case else 0)
    except (library.error, RecursionError, OverflowError, ValueError) as error:
        place = getattr(error, "pos", None)
        where = f" at character {place + 1}" if isinstance(place, int) else ""
        deep = isinstance(error, RecursionError)
        what = "its brackets are nested too deeply" if deep else getattr(error, "msg", "") or str(error)
        raise UserError(
            "bad-pattern",
            f'"{inert(find, _SHOWN)}" is no regular expression{where}: {what}.',
            r"A sign such as ( or ? is meant by \( and \?.",
        ) from None
