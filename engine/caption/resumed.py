"""What a run that is taken up again still has to do: its captions as they are now, compared with what it wrote.

A caption that is gone, or that was taken back, is written again; what it is to say is known already. One that somebody
has written anew since is a person's work and stays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath

from engine.plan.caption_joining import Existing
from engine.plan.errors import inert
from engine.plan.wanted_captions import Wanted
from engine.runs.captions import Done

_OWN = ("said", "written", "unchanged")  # states with the run's own caption as their text


def resumed(
    old: Sequence[Wanted],
    now: Sequence[Wanted],
    done: Mapping[str, Done],
    existing: Existing,
    taken_back: Callable[[Wanted], bool],
) -> tuple[list[Wanted], list[Done]]:
    """(what is to be done in all, what is to be noted down because it is other than the run has left it).

    old: the plan so far; now: what would be planned at this moment; taken_back: whether a caption is as undo has left
    it. A picture that is no longer there leaves the plan, and a new one joins it.
    """
    plans = {wanted.path: wanted for wanted in old}
    plan, notes = list[Wanted](), list[Done]()
    for wanted in now:
        before, was = plans.get(wanted.path), done.get(wanted.path)
        own = was.text if was is not None and was.state in _OWN else None
        if own is not None and wanted.before == own:
            plan.append(before or wanted)
            continue
        if _is_others(before, wanted, was) and not taken_back(wanted):
            plan.append(before or wanted)
            # Of one that was not noted down only what is said of it can tell: an engine may have been killed before.
            note = _left(wanted, existing) if was is not None else None
        else:
            plan.append(wanted)
            note = _again(before, wanted, was, own, existing)
        if note is not None and note != was:
            notes.append(note)
    return plan, notes


def _is_others(before: Wanted | None, wanted: Wanted, was: Done | None) -> bool:
    """Whether words stand there that neither the run has written nor were there when it began."""
    if not wanted.before:
        return False
    if before is not None:
        return wanted.before != before.before
    return was is not None and was.state in ("written", "unchanged")  # the plan was lost


def _left(wanted: Wanted, existing: Existing) -> Done:
    if existing == "keep":
        return Done(wanted.path, "kept")
    name = inert(PurePosixPath(wanted.path).name)
    said = f"The caption of {name} was changed since this run began; it stays as it is."
    return Done(wanted.path, "skipped", said, "caption-changed")


def _again(before: Wanted | None, wanted: Wanted, was: Done | None, own: str | None, existing: Existing) -> Done | None:
    if was is None:
        return None
    if existing == "keep" and wanted.before:
        return Done(wanted.path, "kept")
    if own is not None and (existing != "append" or (before is not None and before.before == wanted.before)):
        return Done(wanted.path, "said", own)
    return Done(wanted.path, "due")
