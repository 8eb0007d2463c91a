"""What is wrong with the captions of a project, one finding a kind, for those who do not look at each in the wizard.

A caption that is missing, empty, not UTF-8 or without the trigger word has its finding elsewhere (`dataset.scan`,
`dataset_checks`); here is what only shows where captions are read word by word.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from engine.plan.caption_attention import Attention, Code, TokenCounter
from engine.plan.dataset import Dataset, Picture
from engine.plan.errors import Finding, few, plural
from engine.plan.remedy import set_line
from engine.plan.settings import Settings

LONGEST_READ = 225
"""The most that max_token_length may be, in tokens."""

_NO_WORDS = frozenset({"caption-empty", "caption-not-utf8", "caption-unreadable"})
"""Findings on captions in whose place other words are trained, or none."""

_Kinds = dict[Code, list[Picture]]


def check_words(
    settings: Settings, dataset: Dataset, trigger: str, counter: TokenCounter, class_name: str = ""
) -> Iterator[Finding]:
    """What the wizard says of single captions on its step 4. Some 0.1 ms a caption, most of it for `counter`.

    trigger, class_name: those of the project, "" where it has none.
    """
    others = dataset.subjects(trigger, class_name).triggers
    attention = Attention(trigger, settings.max_token_length, counter, others=others)
    by_file: dict[Path, list[Picture]] = {}
    for picture in dataset.used_of("train"):
        if picture.caption_path is not None and _is_written(picture):
            by_file.setdefault(picture.caption_path, []).append(picture)
    written = [pictures[0] for pictures in by_file.values()]  # a caption is told of once, whoever shares it
    for picture in written:
        attention.update(picture.path, picture.caption)
    found: _Kinds = {}
    for picture in written:
        for reason in attention.reasons(picture.path):
            found.setdefault(reason.code, []).append(picture)
    if pictures := found.get("too-long"):
        yield _too_long(settings, pictures, attention)
    for code, tell in _TOLD.items():
        if pictures := found.get(code):
            yield tell(pictures, attention)
    if shared := {file: pictures for file, pictures in by_file.items() if len(pictures) > 1}:
        yield _shared(shared)


def _is_written(picture: Picture) -> bool:
    return not any(problem.code in _NO_WORDS for problem in picture.problems)


def _too_long(settings: Settings, pictures: list[Picture], attention: Attention) -> Finding:
    longest = max(attention.tokens(picture.path) or 0 for picture in pictures)
    limit = settings.max_token_length
    reads = next((tokens for tokens in (150, LONGEST_READ) if tokens >= longest), LONGEST_READ)
    more = limit < reads
    it = "it" if len(pictures) == 1 else "them"
    hint = f"Shorten {it}, or have more read: {set_line('max_token_length', str(reads))}" if more else f"Shorten {it}."
    return Finding(
        "caption-too-long",
        f"{_captions(pictures, 'is', 'are')} longer than the {limit} tokens (about words) that are read, up to "
        f"{longest:,}, and what comes after them is not learnt: {_names(pictures)}.",
        hint,
        option="max_token_length" if more else None,
        value=reads if more else None,
    )


def _trigger_twice(pictures: list[Picture], attention: Attention) -> Finding:
    return Finding(
        "caption-trigger-twice",
        f"{_captions(pictures, 'has', 'have')} {_trigger_of(pictures, attention)} more than once: {_names(pictures)}.",
        "Once is enough: take it out where it comes again.",
        level="note",
    )


def _trigger_of(pictures: list[Picture], attention: Attention) -> str:
    several = any(picture.path.parent in attention.others for picture in pictures)
    return "a trigger word" if several else f'the trigger word "{attention.trigger}"'


def _repeated(pictures: list[Picture], attention: Attention) -> Finding:
    first = next(reason for reason in attention.reasons(pictures[0].path) if reason.code == "repeated")
    return Finding(
        "caption-repeats",
        f"{_captions(pictures, 'says', 'say')} something twice: {_names(pictures)}. In the first, {first.words}",
        "Take out what comes again: it takes room from words that tell more.",
        level="note",
    )


def _spaces(pictures: list[Picture], attention: Attention) -> Finding:
    return Finding(
        "caption-spaces",
        f"{_captions(pictures, 'has', 'have')} spaces or commas too many: {_names(pictures)}.",
        "Step 4 of the wizard mends all at once: o, then Tidy blanks and commas.",
        level="note",
    )


def _same(pictures: list[Picture], attention: Attention) -> Finding:
    return Finding(
        "captions-equal",
        f"{_captions(pictures, 'is', 'are')} equal to another: {_names(pictures)}.",
        "Right where the pictures show the same; else say what is different in each.",
        level="note",
    )


def _shared(shared: Mapping[Path, list[Picture]]) -> Finding:
    """a.png and a.jpg both have a.txt."""
    one = len(shared) == 1
    told = few(f"{file.name} ({few(picture.path.name for picture in pictures)})" for file, pictures in shared.items())
    return Finding(
        "caption-shared",
        f"{plural(sum(map(len, shared.values())), 'picture')} share "
        f"{'a caption file' if one else f'{len(shared):,} caption files'}: {told}.",
        "Right where they show the same. Else give one of them another name, and a caption of that name.",
        level="note",
    )


_TOLD: dict[Code, Callable[[list[Picture], Attention], Finding]] = {
    "trigger-twice": _trigger_twice,
    "repeated": _repeated,
    "spaces": _spaces,
    "same": _same,
}


def _captions(pictures: list[Picture], one: str, many: str) -> str:
    return f"1 caption {one}" if len(pictures) == 1 else f"{len(pictures):,} captions {many}"


def _names(pictures: list[Picture]) -> str:
    return few((picture.caption_path or picture.path).name for picture in pictures)
