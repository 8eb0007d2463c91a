"""Jobs about a LoRA: which project it belongs to, and where the run folder of a LoRA without one lies."""

from __future__ import annotations

import shutil
from pathlib import Path

from engine.plan.errors import UserError
from engine.plan.files import absolute_path
from engine.runs.folder import list_runs
from engine.runs.lock import look
from engine.runs.places import cache_dir

RUNS_KEPT = 20  # run folders in the cache directory; nobody looks for them, but the newest log may tell something


def existing_lora(path: str) -> Path:
    """`path` as an absolute path of a file. Raises UserError "no-such-file"."""
    lora = absolute_path(path)
    if lora.is_dir():
        raise UserError("not-a-file", f"{lora} is a folder.", "Name a .safetensors file.")
    if not lora.is_file():
        if lora.exists():  # a device or a pipe
            raise UserError("not-a-file", f"{lora} is not a file.", "Name a .safetensors file.")
        raise UserError("no-such-file", f"{lora} does not exist.")
    return lora


def project_of(lora: Path) -> Path | None:
    """The project folder that the LoRA lies in, if any: NAME/model/x or NAME/runs/RUN/output/x."""
    return next((folder for folder in lora.parents if (folder / "project.toml").is_file()), None)


def cached_runs_dir() -> Path:
    """Where jobs without a project have their run folders. Makes room in it: only the newest are kept."""
    runs_dir = cache_dir() / "runs"
    for run in list_runs(runs_dir)[: -RUNS_KEPT + 1]:
        if look(run).status != "held":
            shutil.rmtree(run.path, ignore_errors=True)
    return runs_dir
