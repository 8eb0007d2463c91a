"""An estimate in words: for the command, the questions one after another, and the page behind the meter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from engine.plan.byte_counts import size
from engine.plan.disk import DiskUse
from engine.plan.errors import inert
from engine.plan.estimate import PARTS, PHASES, Estimate
from engine.plan.gpus import gib
from engine.plan.hardware_checks import taken_by
from engine.plan.memory_fixes import Fix
from lora_tui.expected_time import expected_briefly, expected_words

BAR_CELLS = 40
_BY_HARM = ("", "ok", "!", "x")
WORTH_SHOWING = 2**20  # bytes; smaller parts are none


def of_memory(found: Estimate) -> tuple[str, str]:
    """(mark, sentences): whether it fits, and what it was counted for where that is not what was asked. mark: "ok", "!"
    where it is tight, "x" where it does not or cannot run there as it is, "" unknown."""
    mark, words = _whether_it_fits(found)
    if found.mends and found.gpu is not None:
        it, changes = f"{words[0].lower()}{words[1:]}", " and ".join(as_set_each(found.mends))
        mark, words = "x", f"It cannot run on {inert(found.gpu.name, 40)} as it is. With {changes}, {it}"
    counted = found.epoch.in_words if found.epoch is not None else ""
    return mark, " ".join(filter(None, (words, counted, inert(found.optimizer, 200))))


def _whether_it_fits(found: Estimate) -> tuple[str, str]:
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
        return "x", f"It does not fit: the training needs {gib(need)} at its peak, and {has}.{_closing(found)}"
    just = ", but only just" if found.fits_tightly else ""
    fits = f"It fits{just}: the training needs {gib(need)} at its peak, and {has}."
    if found.samples_in_tiles:
        fits += f" Sample pictures would need {gib(found.bill.phases['sampling'])}, so they are drawn in tiles."
    return "!" if found.fits_tightly else "ok", fits


def _closing(found: Estimate) -> str:
    """What harms nothing and would be enough, with who takes the memory; "" where it would not be."""
    if not found.fits_when_idle or found.gpu is None:
        return ""
    by = taken_by(found.gpu)
    return f" It would fit if nothing else took memory: close {inert(by, 120) or 'other programs that do'}."


def outlook(found: Estimate) -> str:
    """What is to be known of changes that are not enough, or of there being none; "" where they are enough."""
    if found.fits is not False or found.fits_after_fixes:
        return ""
    all_of_them = "Even with all of these it does not fit"
    total = found.gpu.total_bytes if found.gpu is not None else None
    if total is not None and found.needs_after_fixes <= total:
        return f"{all_of_them}: close what takes the memory." if found.fixes else "Close what takes the GPU's memory."
    return f"{all_of_them}: a larger GPU is needed." if found.fixes else "Nothing more helps: a larger GPU is needed."


def of_room(found: Estimate) -> str:
    """What it needs of what there is, in figures: `12.2 GiB of 8.8 GiB free (of 24.0 GiB)`."""
    gpu, there = found.gpu, found.room
    if gpu is None or there is None:
        return gib(found.needs)
    words = f"{gib(found.needs)} of {gib(there)}"
    if gpu.free_bytes is None:
        return words
    return f"{words} free" + (f" (of {gib(gpu.total_bytes)})" if gpu.total_bytes is not None else "")


def verdict(found: Estimate) -> tuple[str, str]:
    """The same, and what else runs badly on that GPU or not at all; the mark is that of the worst."""
    mark, words = of_memory(found)
    marks = [mark, *("x" if each.stops_training() else "!" for each in found.findings if each.level != "note")]
    return max(marks, key=_BY_HARM.index), " ".join((words, *(finding.message for finding in found.findings)))


def brief(found: Estimate) -> tuple[str, str]:
    """Whether it fits in a few words, for a row of its own."""
    mark, _ = of_memory(found)
    need, there, gpu = found.needs, found.room, found.gpu
    if gpu is not None and found.mends:
        return mark, f"cannot run as it is; mended it needs {of_room(found)}"
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
    """The peak of each part of the work, and why that of the samples is not what has to fit."""
    told = [f"{PHASES.get(name, name)} {gib(count)}" for name, count in found.bill.phases.items() if count]
    tiles = " Samples are drawn in tiles where they have no room." if found.bill.phases["sampling"] else ""
    return f"The peaks: {', '.join(told)}.{tiles}"


def time_sentence(found: Estimate, briefly: bool = False) -> str:
    """How long the steps take; "" where nothing tells it."""
    if found.pace is None:
        return ""
    words = expected_briefly if briefly else expected_words
    return words(found.pace, found.steps) if found.steps else f"Time: {found.pace.in_words}."


def better_there(found: Estimate) -> str:
    """What runs badly on that GPU or not at all in one row: what to set in its place; "" where nothing does."""
    told = [f"{each.option} = {_plain(each.value)}" for each in found.findings if each.option and each.level != "note"]
    return f"Better on this GPU: {', '.join(told)}." if told else ""


def disk_sentence(use: DiskUse, free: int | None) -> str:
    """What the training writes, against what is free."""
    loras, checkpoints = size(use.loras * use.lora), size(use.checkpoints * use.checkpoint)
    has = "" if free is None else f"; {'only ' if free < use.most else ''}{size(free)} are free"
    return f"Disk: LoRAs up to {loras}, checkpoints {checkpoints}, cache {size(use.cache)}{has}."


def as_set(fix: Fix) -> str:
    """Its options as they are set: `train_batch_size = 1, gradient_accumulation_steps = 2`."""
    return ", ".join(as_set_each(fix.changes))


def as_set_each(changes: Mapping[str, object]) -> list[str]:
    """Each option as it is set."""
    return [f"{name} = {_plain(value)}" for name, value in changes.items()]


def lines(found: Estimate) -> Iterator[str]:
    """All of it, as the command prints it."""
    _, words = verdict(found)
    if found.room is not None:
        full = min(BAR_CELLS, round(BAR_CELLS * found.needs / max(1, found.room)))
        yield f"[{'#' * full}{'.' * (BAR_CELLS - full)}] {of_room(found)}"
        yield ""
    yield words
    for finding in found.findings:
        yield finding.hint
    yield ""
    width = max(len(name) for name in PARTS.values())
    for name, count in parts(found):
        yield f"  {name:<{width}} {gib(count):>10}"
    yield ""
    yield phases(found)
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
        if left := outlook(found):
            yield left
        yield "Each is a line of project.toml, or a --set; in the app g on Settings makes them by a key."
    elif left := outlook(found):
        yield ""
        yield left


def _plain(value: object) -> str:
    if isinstance(value, list | tuple):
        return " ".join(map(str, value)) or '""'
    return str(value).lower() if isinstance(value, bool) else str(value) or '""'
