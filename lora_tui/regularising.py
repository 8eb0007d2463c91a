"""Making, fetching and counting regularisation pictures: what the command, the wizard and its prompts share."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.plan import job_options
from engine.plan.byte_counts import size
from engine.plan.errors import UserError
from engine.plan.native_size import NATIVE, beyond
from engine.plan.picture_sources import hub_pictures
from engine.plan.pictures import picture_files
from engine.plan.regularisation import Need, folder_for, needs
from engine.plan.regularising import AUTOMATIC, SUITED, RegularisingOptions
from engine.runs.folder import RunFolder, create
from engine.runs.job import Job
from engine.runs.state import Observation
from lora_tui import captioning, job_runs
from lora_tui.follow import project_job, start
from lora_tui.progress import duration

if TYPE_CHECKING:
    from engine.plan.base_model import BaseModel
    from engine.plan.captioning import CaptioningOptions
    from engine.plan.dataset import Dataset
    from engine.plan.project import Project
    from engine.plan.settings import Settings

MAKING, FETCHING = "regularise", "fetch-pictures"
KINDS = (MAKING, FETCHING)
BYTES_A_PIXEL = 1.8
"""Of a PNG of such a picture: 1.9 MB at 1024×1024."""


@dataclass(frozen=True)
class Outlook:
    """What making the pictures of a project would be. seconds_each: as the last ones took with the same size and steps
    on this machine; None where nobody knows. free: bytes on the disk, None where it cannot be told."""

    needs: tuple[Need, ...]
    options: RegularisingOptions
    picture_size: tuple[int, int]
    seconds_each: float | None = None
    free: int | None = None

    @property
    def missing(self) -> int:
        """How many would be made."""
        return sum(need.missing(self.options.count) for need in self.needs)

    @property
    def bytes(self) -> int:
        width, height = self.picture_size
        return round(self.missing * width * height * BYTES_A_PIXEL)

    @property
    def too_large(self) -> bool:
        """Whether the disk has no room for all of them."""
        return self.free is not None and self.bytes > self.free

    def in_words(self) -> str:
        """`750 pictures of 1024 × 1024, about 1.4 GB, about 31 min`."""
        width, height = self.picture_size
        long = f"about {duration(self.seconds_each * self.missing)}" if self.seconds_each else "time not known yet"
        many = f"{self.missing:,} picture{'' if self.missing == 1 else 's'}"
        return f"{many} of {width} × {height}, about {size(self.bytes)}, {long}"


def options_of(
    project: Project, base: BaseModel | None, overrides: Mapping[str, object] | None = None
) -> RegularisingOptions:
    """What suits the base model, then project.toml, then `overrides`.

    Raises UserError: `unknown-option`, `bad-value`.
    """
    return job_options.regularising(SUITED[base.size if base else "sdxl"], project.regularising, overrides or {})


def outlook(
    project: Project,
    settings: Settings,
    dataset: Dataset,
    base: BaseModel | None,
    overrides: Mapping[str, object] | None = None,
) -> Outlook:
    """What is trained at a size that the base model cannot draw gets pictures of the size it was made for.

    Raises UserError as `needs` and `options_of` do.
    """
    options = options_of(project, base, overrides)
    if base is not None and not options.resolution and beyond(base.size, settings.size):
        options = options.model_copy(update={"resolution": NATIVE[base.size]})
    picture_size = options.size(settings.size)
    free = None
    with contextlib.suppress(OSError):
        free = shutil.disk_usage(project.path).free
    known = seconds_each(project.path, picture_size, options.steps)
    return Outlook(tuple(needs(project, dataset)), options, picture_size, known, free)


def seconds_each(project: Path, picture_size: tuple[int, int], steps: int) -> float | None:
    """What a picture took the last time that such ones were made for this project."""
    for run in job_runs.newest(project, MAKING):
        with contextlib.suppress(OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError):
            if run.result_path.is_file():
                said = json.loads(run.result_path.read_bytes())
                took = float(said["seconds_each"])
                if took > 0 and said["size"] == list(picture_size) and said["steps"] == steps:
                    return took
    return None


def make_job(project: Project, settings: Settings, look_out: Outlook, device: str = "auto") -> Job:
    """The job that makes what is missing. Raises UserError "nothing-missing", and as `project_job` does."""
    refuse_missing_captioner(project, settings, look_out.options)
    if not look_out.missing:
        raise UserError(
            "nothing-missing",
            "There are as many regularisation pictures as were asked for.",
            "Ask for more: count = all, or a number.",
        )
    classes = []
    for need in look_out.needs:
        files = picture_files(need.folder)[0] if need.folder.is_dir() else []
        counted = sum(project.relative(path) not in project.left_out for path in files)
        classes.append(
            {
                "class": need.class_name,
                "folder": str(need.folder),
                "wanted": need.wanted(look_out.options.count),
                "elsewhere": len(need.there) - counted,
            }
        )
    return project_job(
        MAKING, project, settings, device, options=look_out.options.model_dump(mode="json"), classes=classes
    )


def fetch_job(project: Project, what: str, look_out: Outlook, class_name: str = "") -> Job:
    """The job that fetches pictures of a data set for a class, that of the project where none is said: as many as there
    are to be of it, those of the data set that came before counted again, so that the same goes on.

    Raises UserError `not-a-source`, `bad-name`.
    """
    source = hub_pictures(what)
    class_name = class_name.strip() or project.class_name
    wanted = [need.wanted(look_out.options.count) for need in look_out.needs if need.class_name == class_name]
    arguments = {
        "what": str(source),
        "to": str(folder_for(project, class_name)),
        "count": wanted[0] if wanted else look_out.missing,
    }
    return Job(FETCHING, project.path, name=str(source), device="cpu", arguments=arguments)


def refuse_missing_captioner(project: Project, settings: Settings, options: RegularisingOptions) -> None:
    """Raises UserError "not-downloaded" where the captions are to be automatic and the captioner is not here: that is
    told before an hour of drawing."""
    if options.captions != AUTOMATIC:
        return
    name, weighs = captioning.download_for(_captioning(project), settings.pretrained_model_name_or_path, project.path)
    if name:
        raise UserError(
            "not-downloaded",
            f"The captioner {name} is not here yet{f' (about {weighs})' if weighs else ''}.",
            f"lora-tui download {name}, or choose other captions: class, prompt or none.",
        )


def begin_captions_of(project: Project, settings: Settings, made: RunFolder) -> RunFolder | None:
    """Have the pictures that a finished run has made described, where that was asked for; the run that does it.

    Captions that are there are kept. Raises UserError as `captioning.begin` does.
    """
    job = made.job
    options = job_options.regularising(job.arguments.get("options") or {}) if job.kind == MAKING else None
    if options is None or options.captions != AUTOMATIC:
        return None
    return captioning.begin(project, settings, _captioning(project))[0]


def _captioning(project: Project) -> CaptioningOptions:
    return captioning.options_of(project, {"folders": "reg", "existing": "keep"})


def refuse_busy(project: Path) -> None:
    """Raises UserError "busy" where an engine makes or fetches pictures of this project already."""
    if (run := at_work(project)) is not None:
        raise UserError(
            "busy",
            f"Regularisation pictures are being made or fetched already, by the run {run.name}.",
            f"Wait for it, or stop it: lora-tui stop {run.name} --project {project}",
        )


def launch(project: Project, job: Job) -> RunFolder:
    """Start an engine on the job. Raises UserError "busy", and as `follow.start` does."""
    refuse_busy(project.path)
    run = create(project.runs_dir, job)
    start(run)
    return run


def at_work(project: Path) -> RunFolder | None:
    """The run that makes or fetches pictures now."""
    return job_runs.at_work(project, *KINDS)


def usual_value(name: str, base: BaseModel | None) -> object:
    """What an option is where project.toml does not say."""
    suited = SUITED[base.size] if base is not None else {}
    return suited.get(name, job_options.job_options("regularising")[name].default)


def how_over(run: RunFolder, seen: Observation) -> tuple[str, str]:
    """What came of a run that made or fetched pictures: a mark of the status line, and a sentence."""
    return job_runs.how_it_ended(seen, "the same goes on from where it was.")
