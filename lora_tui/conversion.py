"""Copying a LoRA to where it is used: as it is, or written anew under other programs' names, which takes an engine."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

from engine.plan.errors import UserError
from engine.plan.export import export, file_stem, tensor_names
from engine.plan.files import absolute_path
from engine.plan.folders import require_folder
from engine.plan.lora_formats import FORMATS, is_of_diffusers
from engine.runs.folder import RunFolder, create
from engine.runs.job import Job
from engine.runs.state import RunView
from lora_tui.follow import POLL_SECONDS, raise_failure, start
from lora_tui.outside import cached_runs_dir

FOR_WHOM = {"kohya": "A1111, Forge, ComfyUI, sd-scripts", "diffusers": "for diffusers alone"}


def wait(run: RunFolder) -> None:
    """Have an engine do the run, and wait until it is over. Raises UserError where that fails."""
    start(run)
    view = RunView(run)
    while not (seen := view.refresh()).over or seen.lock.status == "held":
        time.sleep(POLL_SECONDS)
    raise_failure(run, seen)


def export_as(
    form: str, lora: Path, folder: Path, name: str = "", follow: Callable[[RunFolder], object] = wait
) -> Path:
    """`export` of `lora` in one of `FORMATS`; `follow` does the conversion's run and raises where that fails.

    Raises UserError as `export` does, and as the conversion's engine does.
    """
    wanted = file_stem(lora, name)
    if form == FORMATS[0] and not is_of_diffusers(tensor_names(absolute_path(lora))):
        return export(lora, folder, name)
    require_folder(absolute_path(folder), "the place for a LoRA")
    job = Job("convert", name=lora.stem, device="cpu", arguments={"lora": str(absolute_path(lora)), "format": form})
    run = create(cached_runs_dir(), job)
    follow(run)
    made = next(run.output_dir.glob("*.safetensors"), None)
    if made is None:
        raise UserError("no-result", f"The LoRA could not be converted; see {run.log_path}.")
    try:
        return export(made, folder, wanted)
    finally:
        shutil.rmtree(run.path, ignore_errors=True)  # a file as large as the LoRA, which is where it should be now
