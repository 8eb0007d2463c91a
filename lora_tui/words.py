"""What the wizard explains, in two or three sentences each, where no option of the training is meant."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from rich.text import Text

from engine.plan.errors import inert
from lora_tui.explanations import ABOUT
from lora_tui.fetch_home import FetchLine
from lora_tui.widgets.paint import DIM, PLAIN, STRONG, WARN, line


def about(key: str, width: int, warning: str = "", keys: Iterable[str] = ()) -> list[Text]:
    """The explanation of a row, wrapped to `width` cells; behind it what is wrong with it now.

    keys: all rows that are explained one below the other, where there is room for that; the chosen one stands out.
    """
    found: list[Text] = []
    for each in [known for known in keys if known in ABOUT] or [key]:
        style = PLAIN if each == key else DIM
        found += [line()] if found else []
        found += [line((f" {part}", style)) for part in textwrap.wrap(ABOUT.get(each, ""), max(30, width - 2))]
        if warning and each == key and key in ("trigger", "class"):
            found += [line((f" {part}", WARN)) for part in textwrap.wrap(inert(warning), max(30, width - 2))]
    return found


def paragraph(text: str, width: int) -> list[Text]:
    """A text of ours in lines, dim."""
    return [line((f" {part}", DIM)) for part in textwrap.wrap(text, max(30, width - 2), break_on_hyphens=False)]


def fetch_lines(fetch: FetchLine, width: int) -> list[Text]:
    """The command that fetches a file, and where it is typed."""
    unknown = " The address and the port are those that you log in with." if not fetch.sure else ""
    said = paragraph(f"Type this on your own computer; Enter copies it.{unknown}", width)
    text = inert(fetch.command)
    parts = textwrap.wrap(text, max(20, width - 4), break_on_hyphens=False)
    if len(parts) > 1 and len(parts[-1]) < 2:  # the full stop alone would be overlooked
        rest, _, word = parts[-2].rpartition(" ")
        cut = len(rest) + 1 if rest else len(word) // 2
        parts[-2:] = [parts[-2][:cut].rstrip(), f"{parts[-2][cut:]} {parts[-1]}"]
    # A shell reads a line that ends in a backslash together with the next one, so they can be copied as they are.
    at = 0
    for number, part in enumerate(parts[:-1]):
        at = text.index(part, at) + len(part)
        parts[number] = f"{part} \\" if text[at : at + 1] == " " else part if "'" in text else f"{part}\\"
    return [*said, *(line((f" {part}", STRONG)) for part in parts)]
