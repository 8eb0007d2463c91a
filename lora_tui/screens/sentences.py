"""What a run is doing, in words: its state, the header, the sentence at the bottom, and what happened when it is over.

Pure functions of an observation. Keys are named by whoever knows the bindings, and handed in.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable

from rich.style import Style
from rich.text import Text

from engine.plan.byte_counts import size
from engine.plan.errors import inert
from engine.runs.log import ENDED_AT_ONCE
from engine.runs.state import Observation, State, last_progress
from lora_tui.progress import activity, how_far
from lora_tui.readable import ago, at
from lora_tui.widgets.paint import ACCENT, BAD, DIM, GOOD, STRONG, WARN, Part, line

SIGNS: dict[State, tuple[str, Style]] = {
    "queued": ("○", DIM),
    "preparing": ("●", ACCENT),
    "training": ("●", GOOD),
    "paused": ("‖", WARN),
    "silent": ("◐", WARN),
    "finished": ("✓", GOOD),
    "stopped": ("✗", WARN),
    "failed": ("✗", BAD),
    "died": ("✗", BAD),
    "unknown": ("?", DIM),
}
LOW_DISK_BYTES = 5_000_000_000
LOOKED_AT = 40  # lines at the end of a log, for a traceback
FRESH_SECONDS = 120.0  # a warning stays in the status line so long, and then in the log
DRY_RUN_PREPARES = "Preparing; the steps of the dry run begin by themselves. Leaving does not stop it."
Says = tuple[str, str]  # mark ("ok", "!" or "x") and sentence
KeyOf = Callable[[str], str]  # the key that does an action, as people read it


def state_word(seen: Observation) -> list[Part]:
    """The sign and the word, and for what is under way also of what."""
    sign, style = SIGNS[seen.state]
    return [(f"{sign} {seen.state}", style + Style(bold=True))]


def doing(seen: Observation) -> str:
    """What the engine is at besides training, and how far: `sampling 12 of 30 steps, 20 s left`; else ""."""
    if seen.state not in ("preparing", "training"):
        return ""
    name, _, _ = activity(seen)
    return "" if name.startswith("training") else f"{inert(name)} {how_far(seen)}".strip()


def header(seen: Observation, names: tuple[str, str], width: int, kind: str = "run") -> list[Text]:
    """Two lines: whose run this is, and how it is. `names`: the project's (or the LoRA's) and the run's."""
    project, run = names
    device = inert(seen.snapshot.device)
    left: list[Part] = [(f" {inert(project)}", STRONG), (f"  {kind} ", DIM), inert(run)]
    room = width - sum(len(part if isinstance(part, str) else part[0]) for part in left) - 3
    if device and room > 8:
        shown = device if len(device) <= room else device[: room - 1] + "…"
        left += [" " * (room - len(shown) + 2), (shown, DIM)]
    second: list[Part] = [" ", *state_word(seen)]
    if step := doing(seen):
        second += [": ", step]
    word = _last_word(seen)
    if word:
        second += [("   " + word, DIM)]
    return [line(*left), line(*second)]


def _last_word(seen: Observation) -> str:
    snapshot = seen.snapshot
    if seen.over:
        return f"ended {at(ended(seen), seen.time)}" if ended(seen) else ""
    if seen.state == "unknown":
        return f"on another machine ({inert(seen.lock.host)})" if seen.lock.elsewhere else ""
    if not snapshot.last_event_time:
        return ""
    return f"last word from the engine {ago(seen.time - snapshot.last_event_time)}"


def ended(seen: Observation) -> float:
    """When it was over, in Unix seconds."""
    return seen.snapshot.end.time if seen.snapshot.end is not None else seen.snapshot.last_event_time


def sentence(seen: Observation, key: KeyOf, resumable: bool) -> Says:
    """How things stand and what to do, for the line at the bottom."""
    return _WORDS[seen.state](seen, key, resumable)


def _queued(seen: Observation, key: KeyOf, resumable: bool) -> Says:
    return "!", "No engine has begun with it yet. It begins by itself if it waits in a queue that is at work."


def _ran_out_of_memory(seen: Observation) -> str:
    """What the engine did about it, for a while: so that nobody wonders why the steps are slower now."""
    told = next((warned for warned in reversed(seen.snapshot.warnings) if warned.code == "oom"), None)
    if told is None or seen.time - told.time >= FRESH_SECONDS:
        return ""
    return inert(told.message or f"Memory ran out: {told.change}")


def _preparing(seen: Observation, key: KeyOf, resumable: bool) -> Says:
    if short := _ran_out_of_memory(seen):
        return "!", short
    return "ok", "Preparing; the training begins by itself. Leaving does not stop it."


def _training(seen: Observation, key: KeyOf, resumable: bool) -> Says:
    snapshot = seen.snapshot
    if snapshot.steps and snapshot.loss is None:
        return "x", f"The loss is not a number any more. Stop it ({key('stop')}) and lower the learning rate."
    if short := _ran_out_of_memory(seen):
        return "!", short
    free = snapshot.memory.disk_free_bytes
    if free is not None and free < LOW_DISK_BYTES:
        return "!", f"Only {size(free)} are left on the disk. Make some room, or the next save may fail."
    if snapshot.warnings and seen.time - snapshot.warnings[-1].time < FRESH_SECONDS:
        return "!", inert(snapshot.warnings[-1].message or snapshot.warnings[-1].change)
    count = len(snapshot.warnings)
    told = f" {count} warning{'s' if count > 1 else ''}: {key('log')} shows {'them' if count > 1 else 'it'}."
    return "ok", f"All is well; leaving does not stop it.{told if count else ''}"


def _paused(seen: Observation, key: KeyOf, resumable: bool) -> Says:
    released = " The GPU's memory is free for other work." if seen.snapshot.released else ""
    return "!", f"Paused at step {seen.snapshot.step:,}.{released} {key('pause')} lets it go on."


def _silent(seen: Observation, key: KeyOf, resumable: bool) -> Says:
    usual = seen.snapshot.usual_gap
    expected = f"; a step usually takes {usual:.1f} s" if usual else ""
    quiet = ago(seen.time - last_progress(seen.snapshot)).removesuffix(" ago")
    return "!", f"Nothing has moved for {quiet}{expected}. {key('log')} shows the log, {key('stop')} stops it."


def _finished(seen: Observation, key: KeyOf, resumable: bool) -> Says:
    saved = seen.snapshot.saved
    if saved:
        return "ok", f"Finished. The LoRA: {inert(saved[-1].path)} in the run's folder."
    end = seen.snapshot.end  # of a dry run it says how long all would take
    return "ok", (inert(end.message) if end is not None else "") or "Finished."


def _stopped(seen: Observation, key: KeyOf, resumable: bool) -> Says:
    return "!", f"Stopped {_place(seen)}.{_resume(seen, key, resumable)}"


def _failed(seen: Observation, key: KeyOf, resumable: bool) -> Says:
    end = seen.snapshot.end
    hint = inert(end.hint) if end is not None else ""
    return "x", f"{hint or 'It failed; the log tells more.'}{_resume(seen, key, resumable)}"


def _died(seen: Observation, key: KeyOf, resumable: bool) -> Says:
    return "x", f"The engine was killed {_place(seen)}.{_resume(seen, key, resumable)}"


def _place(seen: Observation) -> str:
    step = seen.snapshot.step
    return f"at step {step:,}" if step else "before its first step"


def _unknown(seen: Observation, key: KeyOf, resumable: bool) -> Says:
    return "!", "This run can only be looked at from here."


_WORDS: dict[State, Callable[[Observation, KeyOf, bool], Says]] = {
    "queued": _queued,
    "preparing": _preparing,
    "training": _training,
    "paused": _paused,
    "silent": _silent,
    "finished": _finished,
    "stopped": _stopped,
    "failed": _failed,
    "died": _died,
    "unknown": _unknown,
}


def resume_step(seen: Observation) -> int:
    """The step a run would go on from: that of its newest checkpoint, 0 from the beginning."""
    return max((checkpoint.step for checkpoint in seen.snapshot.checkpoints), default=0)


def _resume(seen: Observation, key: KeyOf, resumable: bool) -> str:
    if not resumable:
        return ""
    step = resume_step(seen)
    where = f"from step {step:,}" if step else "from the beginning"
    return f" {key('resume_run')} goes on {where}."


def what_happened(seen: Observation, log: list[str], width: int) -> list[Text]:
    """For a run that failed, died or was stopped: what is known, and the engine's last words."""
    snapshot = seen.snapshot
    if seen.state not in ("failed", "died", "stopped") or seen.more:
        return []
    style = WARN if seen.state == "stopped" else BAD
    end = snapshot.end
    told = inert(end.message) if end is not None else ""
    if seen.state == "died":
        told = _death(snapshot.step, log)
    lines = [line((row, style)) for row in textwrap.wrap(told or f"The run has {seen.state}.", max(20, width - 2))]
    if end is not None and end.hint:
        lines += [line(row) for row in textwrap.wrap(inert(end.hint), max(20, width - 2))]
    if seen.state != "stopped":
        lines += [line(("log  ", DIM), (inert(row), DIM)) for row in log[-3:]]
    return [_indented(text) for text in lines]


def not_resumable(seen: Observation) -> str:
    """Why a run does not go on from here."""
    if seen.state == "unknown":
        return "It may be at work on another machine. If that is gone: lora-tui resume RUN --take-over"
    if seen.over:
        return "It cannot go on: it is no training, or what it was to do cannot be read any more."
    return "There is nothing to resume: it has not ended."


def _death(step: int, log: list[str]) -> str:
    """How an engine came to its end that could not say so itself, as far as its log tells."""
    last = log[-1] if log else ""
    if last == ENDED_AT_ONCE:
        return f"Somebody interrupted the engine twice at step {step:,}, so it ended at once."
    if any(row.startswith(("Traceback", "Fatal Python error")) for row in log[-LOOKED_AT:]):
        return f"The engine broke down at step {step:,}; its log tells more."
    told = f"The engine was killed at step {step:,} without a last word. "
    return told + "Most often memory has run out, or the machine was restarted."


def _indented(text: Text) -> Text:
    moved = line(" ")
    moved.append_text(text)
    return moved


def how_drawn(seen: Observation, key: str) -> Says:
    """What came of a comparison that is over; `key` shows it large."""
    end = seen.snapshot.end
    if seen.state == "finished":
        return "ok", f"Drawn: {key} shows without and with, large."
    if seen.state == "stopped":
        return "!", "Stopped."
    return "x", f"{inert(end.message)} {inert(end.hint)}" if end is not None else "The engine died."
