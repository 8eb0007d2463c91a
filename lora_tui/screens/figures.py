"""The figures of a run as lines of text: progress, learning rate, speed, memory, files. Pure functions, one a panel."""

from __future__ import annotations

from rich.text import Text

from engine.plan.byte_counts import size
from engine.plan.errors import inert
from engine.runs.fields import number
from engine.runs.state import Observation
from lora_tui.progress import activity, amount, duration, how_far, still
from lora_tui.readable import at
from lora_tui.screens.sentences import ended
from lora_tui.widgets.paint import ACCENT, DIM, STRONG, WARN, Part, bar, line, sparkline

LABEL = 10  # cells for the words on the left
_NO_STEP = "no step was done"
NEARLY_FULL = 0.95  # of the GPU's memory: the next larger picture may not fit


def labelled(name: str, *parts: Part) -> Text:
    return line((f" {name:<{LABEL}}", DIM), *parts)


def progress(seen: Observation, width: int) -> list[Text]:
    """Step, percent, bar, epoch, elapsed and left. While preparing: what is being prepared."""
    snapshot = seen.snapshot
    name, done, total = activity(seen)
    if not snapshot.step and seen.state in ("preparing", "silent", "queued"):
        lines = [labelled("doing", (inert(name), STRONG)), labelled("done", amount(done, total) or "-")]
        lines.append(line(" ", *bar(done, total, width - 2)))
        lines.append(labelled("gone", elapsed(seen)))
        phase = snapshot.doing
        if phase is not None and (rest := still(done, total, phase.time - phase.started)):
            lines.append(labelled("left", rest))
        return [*lines, *steps_to_come(seen)]
    if not snapshot.step and seen.over and seen.state != "finished":
        return [line((f" {_NO_STEP}", STRONG)), labelled("gone", elapsed(seen)), *left(seen)]
    share = f"  {100 * snapshot.step / snapshot.total_steps:.1f} %" if snapshot.total_steps else ""
    lines = [
        labelled("step", (f"{snapshot.step:,}", STRONG), f" of {snapshot.total_steps:,}", (share, ACCENT)),
        line(" ", *bar(snapshot.step, snapshot.total_steps, width - 2)),
        labelled("epoch", f"{snapshot.epoch} of {snapshot.total_epochs}"),
        labelled("gone", elapsed(seen)),
    ]
    return [*lines, *left(seen)]


def steps_to_come(seen: Observation) -> list[Text]:
    total = seen.snapshot.total_steps
    return [labelled("then", f"{total:,} steps")] if total else []


def left(seen: Observation) -> list[Text]:
    """Time left and when it will be done; of a run that is over, when it ended."""
    if seen.over:
        return [labelled("ended", at(ended(seen), seen.time) if ended(seen) else "-")]
    seconds = seen.snapshot.seconds_left
    if seconds is None or seen.state not in ("training", "paused"):
        return [labelled("left", "-")]
    if seen.state == "paused":
        return [labelled("left", duration(seconds))]
    return [labelled("left", duration(seconds)), labelled("done at", (at(seen.time + seconds, seen.time), STRONG))]


def elapsed(seen: Observation) -> str:
    """What all engines have worked on it together; it stands still while nothing happens."""
    snapshot = seen.snapshot
    if not snapshot.first_event_time:
        return "-"
    if seen.state in ("paused", "silent"):
        return duration(snapshot.worked_at_progress)
    if seen.over or seen.state == "unknown":
        return duration(snapshot.worked_seconds)
    return duration(snapshot.worked_seconds + max(0.0, seen.time - snapshot.last_event_time))


def progress_strip(seen: Observation, width: int) -> list[Text]:
    """The same in two lines, for small terminals."""
    snapshot = seen.snapshot
    name, done, total = activity(seen)
    if not snapshot.step and seen.over and seen.state != "finished":
        return [line((f" {_NO_STEP}", STRONG), f"  ended {at(ended(seen), seen.time)}" if ended(seen) else ""), line()]
    if not snapshot.step:
        return [line(" ", (inert(name), STRONG), " ", how_far(seen)), line(" ", *bar(done, total, width - 2))]
    share = 100 * snapshot.step / snapshot.total_steps if snapshot.total_steps else 0.0
    parts: list[Part] = [" step ", (f"{snapshot.step:,}", STRONG), f" of {snapshot.total_steps:,}"]
    parts.append(("  epoch ", DIM))
    parts.append(f"{snapshot.epoch} of {snapshot.total_epochs}")
    seconds = snapshot.seconds_left
    if seen.over:
        parts += [("  ended ", DIM), at(ended(seen), seen.time)]
    elif seconds is not None and seen.state == "training":
        parts += [("  left ", DIM), duration(seconds)]
        if width >= 76:
            parts += [("  done at ", DIM), (at(seen.time + seconds, seen.time), STRONG)]
    percent = f" {share:.1f} %"
    return [line(*parts), line(" ", *bar(share, 100, width - 2 - len(percent)), (percent, ACCENT))]


def learning(seen: Observation, width: int) -> list[Text]:
    """Loss, learning rates by group, Prodigy's d with its history."""
    snapshot = seen.snapshot
    lines = []
    if snapshot.loss_avg is not None:
        lines.append(labelled("loss", (f"{snapshot.loss_avg:.4f}", STRONG), (" average of 100", DIM)))
    if snapshot.validation_loss is not None:
        least = min(loss for _, loss in snapshot.validation if loss is not None)
        among = "the lowest yet" if least == snapshot.validation_loss else f"lowest {least:.4f}"
        lines.append(labelled("validated", (f"{snapshot.validation_loss:.4f}", STRONG), (f"  {among}", DIM)))
    for group, rate in list(snapshot.lr.items())[:3]:
        lines.append(labelled("rate", f"{rate:.3g}", (f"  {inert(group, 20)}", DIM)))
    if snapshot.d is not None:
        drawn = sparkline(snapshot.ds, min(24, width - LABEL - 12))
        lines.append(labelled("Prodigy d", f"{snapshot.d:.3g}", (f"  {drawn}", ACCENT)))
    if snapshot.grad_norm is not None:
        lines.append(labelled("gradient", f"{snapshot.grad_norm:.3g}"))
    return lines or [line((" nothing yet", DIM))]


def speed(seen: Observation, width: int) -> list[Text]:
    """Seconds a step and images a second."""
    snapshot = seen.snapshot
    lines = []
    if snapshot.usual_gap:
        lines.append(labelled("a step", f"{snapshot.usual_gap:.2f} s"))
    if snapshot.images_per_second:
        lines.append(labelled("images", f"{snapshot.images_per_second:.2f} a second"))
    return lines or [line((" nothing yet", DIM))]


def memory(seen: Observation, width: int) -> list[Text]:
    """The GPU's memory, or on a run without one the engine's own; peak against total; the machine's memory."""
    gpu, said = seen.snapshot.gpu, seen.snapshot.memory
    used, total = number(gpu.get("used_bytes")), number(gpu.get("total_bytes"))
    lines: list[Text] = []
    if used and total:
        style = WARN if used / total > NEARLY_FULL else ACCENT
        lines.append(labelled("GPU", (gib(used), STRONG), f" of {gib(total)} GiB"))
        lines.append(line(" ", *bar(used, total, width - 2, style)))
        if peak := number(gpu.get("peak_bytes")):
            lines.append(labelled("peak", f"{gib(peak)} GiB", ("  in this run", DIM)))
        lines += _heat(gpu)
    if said.rss_bytes:
        peak_words = f"  peak {gib(said.peak_rss_bytes)}" if said.peak_rss_bytes else ""
        lines.append(labelled("engine", f"{gib(said.rss_bytes)} GiB", (peak_words, DIM)))
    ram, ram_total = said.ram_used_bytes, said.ram_total_bytes
    if ram and ram_total:
        if not used:
            lines.append(line(" ", *bar(ram, ram_total, width - 2, WARN if ram / ram_total > NEARLY_FULL else ACCENT)))
        lines.append(labelled("system", f"{gib(ram)} of {gib(ram_total)} GiB"))
    return lines or [line((" nothing yet", DIM))]


def _heat(gpu: dict[str, object]) -> list[Text]:
    named = (("utilisation", " %"), ("celsius", " °C"), ("watts", " W"))
    found = [f"{value:.0f}{unit}" for name, unit in named if (value := number(gpu.get(name))) is not None]
    return [labelled("at work", "  ".join(found))] if found else []


def files(seen: Observation, width: int) -> list[Text]:
    """The LoRAs saved and the checkpoints to go on from, newest first, and the room on the disk."""
    snapshot = seen.snapshot
    lines = []
    for saved in reversed(snapshot.saved):
        name = inert(saved.path).removeprefix("output/").removesuffix(".safetensors")
        lines.append(_file(name, f"{size(saved.bytes)}", width, STRONG))
    if not snapshot.saved:
        lines.append(line((" no LoRA saved yet", DIM)))
    for checkpoint in reversed(snapshot.checkpoints):
        lines.append(_file(f"checkpoint {checkpoint.step:,}", size(checkpoint.bytes), width, None))
    free = snapshot.memory.disk_free_bytes
    if free is not None:
        lines.append(_file("free on the disk", size(free), width, None))
    return lines


def _file(name: str, amount: str, width: int, style: object) -> Text:
    room = max(4, width - len(amount) - 3)
    shown = name if len(name) <= room else "…" + name[-(room - 1) :]
    return line(" ", (shown, STRONG) if style is STRONG else (shown, DIM), " " * (room - len(shown) + 1), amount)


def warnings(seen: Observation) -> list[Text]:
    """The newest first, each with the time it was given."""
    lines = []
    for warned in reversed(seen.snapshot.warnings):
        by_itself = warned.code == "oom" and warned.message  # it says the change in words
        parts = (warned.message, "" if by_itself else warned.change)
        said = " ".join(inert(text) for text in parts if text)
        lines.append(line((f" {at(warned.time, seen.time)} ", DIM), ("! ", WARN), said))
    return lines


def gib(count: float | None) -> str:
    """GiB, as cards and memory are sold."""
    return "?" if count is None else f"{count / 1024**3:.1f}"
