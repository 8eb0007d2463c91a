"""Downloads of base models as runs of the engine, for the command and for the wizard."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from engine.plan.byte_counts import size
from engine.plan.errors import UserError
from engine.plan.files import absolute_path, existing_path
from engine.plan.hub_cache import cached_model
from engine.plan.sources import Address, HubModel, source_of
from engine.runs.downloads import default_folder, unfinished
from engine.runs.folder import RunFolder, create, list_runs
from engine.runs.job import Job
from engine.runs.lock import look
from engine.runs.state import Observation
from lora_tui import job_runs
from lora_tui.outside import cached_runs_dir

SCHEMES: tuple[str, ...] = ("https",)


def make_run(what: str, to: Path | None = None, full_precision: bool = False) -> tuple[RunFolder, str]:
    """(the run folder with the job, what it is called). Raises UserError as `source_of` does."""
    source = source_of(what, schemes=SCHEMES)
    if isinstance(source, Address):
        name, title = source.url, f"{Path(source.url.partition('?')[0]).name or source.host}"
    else:
        name = title = source.name
    arguments = {
        "what": name,
        "to": str(absolute_path(to)) if to is not None else None,
        "full_precision": full_precision or None,
    }
    return create(cached_runs_dir(), Job("download", name=title, device="cpu", arguments=arguments)), title


def at_work() -> tuple[RunFolder, str, str] | None:
    """The newest download that is going on: its run, what it brings, and what that is called."""
    for run in reversed(list_runs(cached_runs_dir())):
        if run.kind == "download" and look(run).status == "held":
            try:
                job = run.job
            except UserError:
                continue
            return run, str(job.arguments.get("what", "")), job.name
    return None


def wanted(text: str, project: Path) -> bool:
    """Whether a text that somebody gives as the base model is something to download that is not here yet."""
    try:
        source_of(text, schemes=SCHEMES)
    except UserError:
        return False
    return existing_path(text, project) is None and cached_model(text) is None


def outlook(what: str) -> str:
    """What a download will take, for the question before it."""
    if isinstance(source_of(what, schemes=SCHEMES), HubModel):
        return "into the cache of Hugging Face's programs; an SDXL model has about 7 GB"
    folder = default_folder()
    here, total = unfinished(folder, what)
    if total:
        return f"into {folder}; {size(here)} of {size(total)} are here already"
    free = f", and the disk has {size(room)} free" if (room := _free(folder)) is not None else ""
    return f"into {folder}; an SDXL model has about 7 GB{free}"


def _free(folder: Path) -> int | None:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None


def how_it_ended(seen: Observation) -> tuple[str, str]:
    """(mark, sentence) of a download that is over. Where it lies, which the engine says, does not fit into a line."""
    mark, said = job_runs.how_it_ended(seen, "asked for again, it goes on.")
    return mark, "Downloaded." if mark == "ok" else said


def setting_for(what: str, run: RunFolder) -> str:
    """What the option is given for a finished download; "" where that cannot be read. A model of Hugging Face keeps its
    name."""
    if isinstance(source_of(what, schemes=SCHEMES), HubModel):
        return what
    try:
        return str(Path(json.loads(run.result_path.read_bytes())["path"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return ""
