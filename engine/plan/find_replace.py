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

_LONGEST = 1_000
_SHOWN = 80
_MOST_TIMES = 10_000
_TIMES = re.compile(r"\{\s*(\d*)\s*(?:,\s*(\d*)\s*)?\}")


def replaced(find: str, by: str, regex: bool = False, ignore_case: bool = False) -> Callable[[str], str]:
    """`find` becomes `by` wherever it stands; with `regex` both are a regular expression and its template (`\\1`).

    Raises UserError `nothing-to-find` and `bad-pattern`; the operation raises `bad-pattern` for a template that names
    a group which is not there, and `slow-pattern` where the captions given to it took more than SECONDS.
    """
    if not find:
        raise UserError("nothing-to-find", "What is to be found is missing.", "Type a word or a part of one.")
    if not regex and not ignore_case:
        return lambda text: text.replace(find, by)
    import regex as library

    pattern = _compiled(find if regex else re.escape(find), ignore_case)
    template = by if regex else by.replace("\\", "\\\\")
    spent = 0.0

    def operation(text: str) -> str:
        nonlocal spent
        began = time.monotonic()
        try:
            return str(pattern.sub(template, text, timeout=max(SECONDS - spent, 0.001), concurrent=True))
        except TimeoutError:
            raise UserError(
                "slow-pattern",
                f'The pattern "{inert(find, _SHOWN)}" takes too long: it tries the same letters in too many ways.',
                "Repeat only once what repeats: a+ instead of (a+)+.",
            ) from None
        except (IndexError, ValueError, library.error) as error:
            raise UserError(
                "bad-pattern",
                f'"{inert(by, _SHOWN)}" cannot be put in: {error}.',
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
    if len(find) > _LONGEST or times > _MOST_TIMES:
        # Such counts are written out while a pattern is made, and take all memory there is.
        raise UserError("bad-pattern", "The pattern is too long, or its {…} count too far.", "A shorter one will do.")
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
