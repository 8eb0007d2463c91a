"""The lines of the pictures' page: how many are well, the shapes as a small chart, what is said of one picture."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from rich.text import Text

from engine.plan.dataset import Dataset, Picture
from engine.plan.errors import Finding, plural
from engine.plan.picture_remarks import CUT_SHARE, OWN_SIZE, scaled
from engine.plan.picture_report import PictureReport, tallied
from engine.plan.settings import Settings
from lora_tui.in_rows import in_rows
from lora_tui.widgets.paint import BAD, DIM, GOOD, PLAIN, STRONG, WARN, Part, bar, line

BAR_CELLS = 16
_WORTH_SAYING = 0.005  # cut off


def counted(dataset: Dataset, settings: Settings, report: PictureReport) -> Text:
    """How many pictures there are, and what the resolution of the training does to them."""
    width, height = settings.size
    used = dataset.used_of("train")
    scales = sorted(report.tally.scales.items(), reverse=True)
    said = ", ".join(f"{count:,} {'as they are' if how == OWN_SIZE else how}" for how, count in scales)
    parts: list[Part] = [(f" {plural(len(used), 'picture')}", STRONG), f", {dataset.steps.num_train_images:,} an epoch"]
    return line(*parts, (f"; at {width} × {height}, {said}" if said else "", DIM))


def standing(report: PictureReport) -> Text:
    """How many pictures are well, and what is against the others."""
    tally = report.tally
    parts: list[Part] = [(f" {tally.fine:,} ok", GOOD)]
    parts += [(f"  {tallied(code, count)}", WARN) for code, count in tally.by.items()]
    parts += [(f"  {tally.broken:,} unusable", BAD)] if tally.broken else []
    return line(*parts)


def chart(dataset: Dataset, most: int) -> list[Text]:
    """The shapes that are trained, the most frequent first: how many pictures an epoch, and how much is cut off."""
    shapes = dataset.buckets_of("train").most_common()
    if not shapes:
        return []
    shown = shapes if len(shapes) <= most else shapes[: most - 1]
    rows = []
    for (width, height), count in shown:
        cut = dataset.cut_in((width, height))
        parts: list[Part] = [(f" {f'{width} × {height}':<13}", DIM), *bar(count, shapes[0][1], BAR_CELLS)]
        parts.append((f" {count:>6,}", PLAIN))
        if cut > _WORTH_SAYING:
            parts.append((f"  {cut:.0%} cut off", WARN if cut > CUT_SHARE else DIM))
        rows.append(line(*parts))
    if rest := shapes[len(shown) :]:
        cut = max(dataset.cut_in(shape) for shape, _ in rest)
        parts = [(f" {len(rest)} more shapes{'':<{BAR_CELLS}}", DIM), (f" {sum(n for _, n in rest):>6,}", PLAIN)]
        parts += [(f"  up to {cut:.0%} cut off", WARN if cut > CUT_SHARE else DIM)] if cut > _WORTH_SAYING else []
        rows.append(line(*parts))
    return rows


def said_of(found: tuple[Finding, ...], room: int, most: int, *, remedies: bool = True) -> list[Text]:
    """What is to be said of one picture, the worst first, each with its remedy, in about so many lines."""
    rows: list[Text] = []
    for place, finding in enumerate(found):
        said = [
            line((f" {part}", DIM if finding.level == "note" else WARN)) for part in _wrapped(finding.message, room)
        ]
        said += [line((f" {part}", DIM)) for part in _wrapped(in_rows(finding.hint), room)] if remedies else []
        if place and len(rows) + len(said) > most:
            rest = ", ".join(dict.fromkeys(map(_word, found[place:])))
            rows.append(line((f" and {plural(len(found) - place, 'more remark')}: {rest}", DIM)))
            break
        rows += said
    return rows


def longest_remarks(pictures: Iterable[Picture], report: PictureReport) -> list[Picture]:
    """Of the pictures with the same kinds of remarks the one of which most is said."""
    longest: dict[tuple[str, ...], tuple[int, Picture]] = {}
    for picture in pictures:
        found = report.of(picture)
        letters = sum(len(finding.message) + len(finding.hint) for finding in found)
        kinds = (str(picture.left_out), *(finding.code for finding in found))  # of those no remedy is said
        if kinds not in longest or letters > longest[kinds][0]:
            longest[kinds] = letters, picture
    return [picture for _, picture in longest.values()]


def within(rows: list[Text], height: int, room: int) -> list[Text]:
    """So many lines of these; where some are left out, the last one ends in "…"."""
    if len(rows) <= height:
        return rows
    last = rows[height - 1].copy()
    last.truncate(max(1, room - 2))
    last.append(" …")
    return [*rows[: height - 1], last]


def _wrapped(text: str, room: int) -> list[str]:
    return textwrap.wrap(text, room - 2)


def fate(picture: Picture) -> str:
    """What the training makes of its size."""
    if not picture.bucket[0]:
        return ""
    own, (width, height) = f"{picture.width} × {picture.height}", picture.bucket
    how = scaled(picture)
    if how != OWN_SIZE:
        how = f"{how} to {picture.resized[0]} × {picture.resized[1]}"
    cut = f", cut to {width} × {height} ({picture.cropped:.0%} is lost)" if picture.bucket != picture.resized else ""
    return f"{own}, {how}{cut}."


def notes(found: tuple[Finding, ...]) -> str:
    """What is wrong with a picture, in few words for its row; whole sentences stand below the list."""
    against = [finding for finding in found if finding.level != "note"]
    return ", ".join(dict.fromkeys(map(_word, against or found)))


def left_out_notes(found: tuple[Finding, ...], cells: int) -> str:
    """For the row of a picture that is left out: that it is, and why where these cells have room for it."""
    why = notes(found)
    whole = f"left out: {why}"
    return whole if why and len(whole) <= cells else "left out"


def _word(finding: Finding) -> str:
    if (finding.code, finding.level) == ("near-copy", "note"):
        return "best copy"
    return _WORDS.get(finding.code, finding.code.replace("-", " "))


_WORDS = {
    "caption-missing": "no caption",
    "caption-not-utf8": "not UTF-8",
    "broken-picture": "broken",
    "picture-too-small": "too small",
    "near-copy": "near-copy",
    "see-through": "see-through",
}
