"""An estimate in words: for the command, the questions one after another, and the page behind the meter."""

from __future__ import annotations

from collections.abc import Iterator

from engine.plan.byte_counts import size
from engine.plan.disk import DiskUse
from engine.plan.errors import inert
from engine.plan.estimate import PARTS, PHASES, Estimate
from engine.plan.gpus import gib
from engine.plan.memory_fixes import TIGHT_SHARE, Fix
from lora_tui.expected_time import expected_words

BAR_CELLS = 40
_BY_HARM = ("", "ok", "!", "x")
WORTH_SHOWING = 2**20  # bytes; smaller parts are none


def of_memory(found: Estimate) -> tuple[str, str]:
    """(mark, a sentence): whether it fits. mark: "ok", "!" where it is tight, "x" where it does not, "" unknown."""
    need, there, gpu = found.needs, found.room, found.gpu
    if gpu is None:
        against = f"there is no GPU to hold it against. {found.no_gpu}".rstrip()
        return "", f"The training needs {gib(need)} of GPU memory at its peak; {against}"
    name = inert(gpu.name, 40)
    if there is None:
        return "", f"The training needs {gib(need)} at its peak; how much {name} has is not known."
    has = f"{name} has {gib(there)}"
    if gpu.free_bytes is not None:
        has += f" of its {gib(gpu.total_bytes)} free" if gpu.total_bytes is not None else " free"
    if need > there:
        return "x", f"It does not fit: the training needs {gib(need)} at its peak, and {has}."
    tight = need > TIGHT_SHARE * there
    fits = f"It fits{', but only just' if tight else ''}: the training needs {gib(need)} at its peak, and {has}."
    if found.samples_in_tiles:
        fits += f" Sample pictures would need {gib(found.bill.phases['sampling'])}, so they are drawn in tiles."
    return "!" if tight else "ok", fits


def verdict(found: Estimate) -> tuple[str, str]:
    """The same, and what else runs badly on that GPU or not at all; the mark is that of the worst."""
    mark, words = of_memory(found)
    marks = [mark, *("x" if each.stops_training() else "!" for each in found.findings if each.level != "note")]
    return max(marks, key=_BY_HARM.index), " ".join((words, *(finding.message for finding in found.findings)))


def brief(found: Estimate) -> tuple[str, str]:
    """Whether it fits in a few words, for a row of its own."""
    mark, _ = of_memory(found)
    need, there, gpu = found.needs, found.room, found.gpu
    if gpu is None or there is None:
        why = "no GPU to hold it against" if gpu is None else f"the memory of {inert(gpu.name, 30)} is not known"
        return mark, f"{gib(need)}, and {why}"
    begins = {"ok": "fits", "!": "fits only just"}.get(mark, "does not fit")
    return mark, f"{begins}: {gib(need)} of {gib(there)} on {inert(gpu.name, 30)}"


def parts(found: Estimate) -> list[tuple[str, int]]:
    """What the memory of a step is for, the largest first."""
    shown = [(PARTS.get(name, name), count) for name, count in found.bill.parts.items() if count >= WORTH_SHOWING]
    return sorted(shown, key=lambda part: -part[1])


def phases(found: Estimate) -> str:
    told = [f"{PHASES.get(name, name)} {gib(count)}" for name, count in found.bill.phases.items() if count]
    return ", ".join(told)


def time_sentence(found: Estimate) -> str:
    """How long the steps take; "" where nothing tells it."""
    if found.pace is None:
        return ""
    return expected_words(found.pace, found.steps) if found.steps else f"Time: {found.pace.in_words}."


def disk_sentence(use: DiskUse, free: int | None) -> str:
    """What the training writes, against what is free."""
    loras, checkpoints = size(use.loras * use.lora), size(use.checkpoints * use.checkpoint)
    has = "" if free is None else f"; {'only ' if free < use.most else ''}{size(free)} are free"
    return f"Disk: LoRAs up to {loras}, checkpoints {checkpoints}, cache {size(use.cache)}{has}."


def as_set(fix: Fix) -> str:
    """Its options as they are set: `train_batch_size = 1, gradient_accumulation_steps = 2`."""
    return ", ".join(f"{name} = {_plain(value)}" for name, value in fix.changes.items())


def lines(found: Estimate) -> Iterator[str]:
    """All of it, as the command prints it."""
    _, words = verdict(found)
    if found.room is not None:
        full = min(BAR_CELLS, round(BAR_CELLS * found.needs / max(1, found.room)))
        yield f"[{'#' * full}{'.' * (BAR_CELLS - full)}] {gib(found.needs)} of {gib(found.room)}"
        yield ""
    yield words
    for finding in found.findings:
        yield finding.hint
    yield ""
    width = max(len(name) for name in PARTS.values())
    for name, count in parts(found):
        yield f"  {name:<{width}} {gib(count):>10}"
    yield ""
    yield f"At the peak of each part of the work: {phases(found)}."
    if time := time_sentence(found):
        yield time
    if found.disk is not None:
        yield disk_sentence(found.disk, found.free_bytes)
    if found.fixes:
        yield ""
        yield "What to change, the least harm first:"
        for fix in found.fixes:
            yield f"  {as_set(fix)}"
            yield f"    saves {gib(fix.saves_bytes)}. {fix.why}"
        yield ""
        yield "Each is a line of project.toml, or a --set; in the app g on Settings makes them by a key."


def _plain(value: object) -> str:
    if isinstance(value, list | tuple):
        return " ".join(map(str, value)) or '""'
    return str(value).lower() if isinstance(value, bool) else str(value) or '""'
