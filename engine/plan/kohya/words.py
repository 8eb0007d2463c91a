"""Prompts and samplers of samples."""

from __future__ import annotations

import os
import re
from pathlib import Path

from engine.plan import prompt_files
from engine.plan.errors import UserError, inert
from engine.plan.kohya.outcome import Outcome
from engine.plan.kohya.plain import is_empty
from engine.plan.kohya.said import Arguments, Said
from engine.plan.sample_prompts import parse

_PATH = re.compile(r"(?:/|~|\.{1,2}[/\\]|[A-Za-z]:[/\\]|\\\\)\S*")
"""What no prompt looks like: the beginning of a path, and no blank in it."""


def samples(arguments: Arguments, outcome: Outcome) -> None:
    """sample_prompts and sample_sampler."""
    sampler = arguments.take("sample_sampler")
    if sampler is not None and is_empty(sampler.value):
        outcome.leave(sampler.key, sampler.given, "unset", "it is empty")
    elif sampler is not None:
        outcome.carry(sampler.key, sampler.given, "sample_sampler", sampler.value)
    said = arguments.take("sample_prompts")
    if said is None:
        return
    if is_empty(said.value):
        outcome.leave(said.key, said.given, "unset", "it is empty")
        return
    lines = said.value if isinstance(said.value, list | tuple) else str(said.value).splitlines()
    prompts(said, [str(line) for line in lines], outcome)


def prompts(said: Said, lines: list[str], outcome: Outcome) -> None:
    """Carry over the prompts that can be read; a path of another machine is none."""
    good: list[str] = []
    if len(lines) > prompt_files.MAX_PROMPTS:
        outcome.leave(said.key, f"{len(lines):,} lines", "bad-value", f"more than {prompt_files.MAX_PROMPTS:,} prompts")
        return
    for line in lines:
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        if prompt_files.is_file(text) or _PATH.fullmatch(text):
            _elsewhere(said, text, outcome)
            continue
        try:
            parse(text)
            good.append(text)
        except UserError as error:
            outcome.leave(said.key, text, "bad-value", str(error))
    if good and outcome.carry(said.key, said.given, "sample_prompts", good):
        outcome.note(
            "kohya-prompts",
            "The prompts of that file are taken as they stand, with its trigger word; without --w and --h they are "
            "drawn at the training resolution here, at 512 × 512 there.",
            "Put your own trigger word into them.",
        )


def _elsewhere(said: Said, path: str, outcome: Outcome) -> None:
    if prompt_files.is_file(path):
        reason = "a file of prompts of that machine: import that file itself, or keep it beside this one"
        hint = "Import that file as well."
    else:
        reason = "a path, and no prompt"
        hint = f"Files of prompts end in {', '.join(prompt_files.ENDINGS)}."
    outcome.leave(said.key, path, "project", reason)
    if all(finding.code != "kohya-prompts-elsewhere" for finding in outcome.findings):
        what = f"The file names {inert(path, 60)} for the prompts of samples, which is not read with it."
        outcome.find("kohya-prompts-elsewhere", what, hint)


def beside(name: str, file: Path, endings: tuple[str, ...]) -> Path | None:
    """The file of this name in the folder of `file`, whatever folder the text names: that of another machine is not
    looked at, nor is anything outside the folder. None where there is none."""
    last = inert(name).replace("\\", "/").rpartition("/")[2]
    if not last.lower().endswith(endings) or last != name.replace("\\", "/").rpartition("/")[2]:
        return None
    path = file.parent / last
    try:
        inside = os.path.realpath(path).startswith(os.path.join(os.path.realpath(file.parent), ""))
        return path if inside and path.is_file() else None
    except (OSError, ValueError):
        return None
