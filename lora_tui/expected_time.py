"""How long a training will take, before it starts: by what was measured here, else roughly by its GPU's data sheet."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from engine.plan.base_model import BaseModel
from engine.plan.dataset import Dataset
from engine.plan.pace import Pace, rough
from engine.plan.real_batches import epoch_of
from engine.plan.settings import Settings
from engine.runs.folder import RunFolder, list_runs
from engine.runs.measured_pace import LOOKED_AT, measured
from lora_tui import recent
from lora_tui.hardware import gpus_here, planned
from lora_tui.progress import duration

OTHER_PROJECTS = 5  # whose runs tell as well


def expected_pace(
    project: Path, settings: Settings, base: BaseModel | None, dataset: Dataset | None = None
) -> Pace | None:
    """Of this project's training here, or on the GPU that is planned for; None where nothing is known."""
    card, epoch = planned(), epoch_of(settings, dataset)
    if card is not None:
        return rough(settings, card.as_gpu(), epoch) if base is not None and base.size == "sdxl" else None
    gpus = gpus_here().gpus
    found = measured(_runs(project), settings, gpus[0] if gpus else None)
    if found is None and gpus and base is not None and base.size == "sdxl":
        return rough(settings, gpus[0], epoch)
    return found


def expected_words(pace: Pace, steps: int) -> str:
    """`About 1 h 10 min without samples: 2.1 s a step, as measured in the run 2026-11-22_153012.`"""
    return f"About {_rounded(pace, steps)} for {steps:,} steps, without samples: {pace.in_words}."


def expected_briefly(pace: Pace, steps: int) -> str:
    """The same for a single row: `About 1 h 10 min for 2,000 steps, roughly, without samples.`"""
    roughly = ", roughly" if pace.source == "rough" else ""
    return f"About {_rounded(pace, steps)} for {steps:,} steps{roughly}, without samples."


def _rounded(pace: Pace, steps: int) -> str:
    seconds = steps * pace.seconds_per_step
    return duration(round(seconds / 60) * 60 if seconds > 600 else seconds)


def _runs(project: Path) -> Iterator[RunFolder]:
    """This project's, the newest first, then those of others that were used lately."""
    others = [path for path in recent.projects() if path != project]
    for path in [project, *others[:OTHER_PROJECTS]]:
        yield from islice(reversed(list_runs(path)), LOOKED_AT // 2)
