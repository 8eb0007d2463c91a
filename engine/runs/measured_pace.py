"""How long a step took in earlier runs of like settings on the same device, read from what they left behind."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping
from typing import Any

from engine.plan.errors import UserError
from engine.plan.gpus import Gpu
from engine.plan.pace import Pace
from engine.plan.settings import Settings, to_dict
from engine.runs.events import Event, parse
from engine.runs.fields import number
from engine.runs.folder import RunFolder

READ_BYTES = 256 * 1024  # of a log: the first thousand steps or so
WARMING_UP = 3  # steps at first, which take longer
FEWEST, MOST = 3, 200  # steps after these that tell
LOOKED_AT = 40  # runs

DECIDING = (
    "train_batch_size", "gradient_accumulation_steps", "num_processes", "resolution", "enable_bucket",
    "bucket_no_upscale", "max_bucket_reso", "mixed_precision", "base_weights", "attention", "gradient_checkpointing",
    "network_dim", "conv_dim", "optimizer_type", "train_unet", "train_text_encoder_1", "train_text_encoder_2",
    "cache_latents", "cache_text_encoder_outputs", "max_token_length", "scale_weight_norms", "use_ema",
    "diff_output_preservation_multiplier",
)  # fmt: skip
"""Options that change what a step takes. Others, rates or seeds or names, do not."""


def measured(runs: Iterable[RunFolder], settings: Settings, gpu: Gpu | None = None) -> Pace | None:
    """The pace of the first of `runs` (put the newest first) that tells one for such settings; None where none does.

    `gpu`: of the kind that it has to have run on; None for any.
    """
    wanted = to_dict(settings)
    for number_of_runs, run in enumerate(runs):
        if number_of_runs >= LOOKED_AT:
            return None
        if not _alike(run, wanted):
            continue
        if (pace := _tried(run, gpu) if run.is_dry_run else _measured(run, gpu)) is not None:
            return pace
    return None


def _alike(run: RunFolder, wanted: Mapping[str, object]) -> bool:
    try:
        job = run.table()
    except UserError:
        return False
    had = job.get("settings")
    if job.get("kind") != "train" or not isinstance(had, dict):
        return False
    practice = {had.get("pretrained_model_name_or_path") == "micro", _model(wanted) == "micro"}
    return len(practice) == 1 and all(had.get(name) == wanted.get(name) for name in DECIDING)


def _model(wanted: Mapping[str, object]) -> object:
    return wanted.get("pretrained_model_name_or_path")


def _tried(run: RunFolder, gpu: Gpu | None) -> Pace | None:
    """A dry run's own figure: the median of its steps, each waited for."""
    if not _ran_on(_events(run), gpu):
        return None
    if not run.result_path.is_file():
        return None
    try:
        with run.result_path.open("rb") as file:
            result = json.loads(file.read(READ_BYTES))
    except (OSError, ValueError, RecursionError):
        return None
    seconds = number(result.get("seconds_per_step")) if isinstance(result, dict) else None
    return Pace(seconds, "tried", run.name) if seconds else None


def _measured(run: RunFolder, gpu: Gpu | None) -> Pace | None:
    events = _events(run)
    if not _ran_on(events, gpu):
        return None
    steps = [event for event in events if event.get("kind") == "step"][WARMING_UP : WARMING_UP + MOST]
    seconds = [taken for event in steps if (taken := number(event.get("seconds"))) and taken > 0]
    return Pace(statistics.median(seconds), "measured", run.name) if len(seconds) >= FEWEST else None


def _ran_on(events: list[Event], gpu: Gpu | None) -> bool:
    job: dict[str, Any] = next((event for event in events if event.get("kind") == "job"), {})
    return gpu is None or gpu.is_device(str(job.get("device", "")))


def _events(run: RunFolder) -> list[Event]:
    """The first events of a run, as far as they can be read."""
    if not run.events_path.is_file():  # of a FIFO the reader would wait for its writer
        return []
    try:
        with run.events_path.open("rb") as file:
            lines = file.read(READ_BYTES).split(b"\n")[:-1]
    except OSError:
        return []
    return [event for line in lines if (event := parse(line)) is not None]
