"""Automatic captions of a project: which are missing, what will be written, starting the job, finding it again."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.plan.caption_joining import affixes, caption_for
from engine.plan.captioners import KNOWN as KNOWN_CAPTIONERS
from engine.plan.captioners import find, refuse_without_onnx, resolve_name, size_of
from engine.plan.captioning import CLASS, FILENAME, KNOWN, WD14, CaptioningOptions
from engine.plan.errors import UserError, plural
from engine.plan.files import existing_path
from engine.plan.folders import Kind, find_folders
from engine.plan.job_options import captioning, job_options
from engine.plan.measured import keep_measures, kept_measures
from engine.plan.picture_problems import no_picture_folder, no_pictures
from engine.plan.pictures import picture_files
from engine.plan.wanted_captions import Counts, Folders, count_captions
from engine.runs.folder import RunFolder, create
from engine.runs.job import Job
from engine.runs.state import Observation, observe
from lora_tui import job_runs
from lora_tui.follow import start
from lora_tui.job_edits import change_of, value_of
from lora_tui.survey import fingerprint

if TYPE_CHECKING:
    from engine.plan.project import Project
    from engine.plan.settings import Settings
    from engine.plan.subjects import Subjects
    from lora_tui.draft import Draft

EXAMPLE = "a man on a beach, looking to the side"
KIND = "caption"
MOST_NAMED = 4  # subjects


@dataclass(frozen=True)
class Outlook:
    """What a run with these options would do."""

    counts: Counts
    options: CaptioningOptions

    @property
    def missing(self) -> int:
        """Pictures that get a caption where there is none."""
        return self.counts.missing

    @property
    def there(self) -> int:
        """Pictures with a caption: those that are kept, or else those that are written anew."""
        return self.counts.there + (self.counts.broken_there if self.options.existing == "keep" else 0)

    @property
    def to_write(self) -> int:
        return self.missing if self.options.existing == "keep" else self.missing + self.there

    @property
    def sentence(self) -> str:
        """What will be written, and what will not although somebody may expect it."""
        return " ".join((self._written, *self._not_written, *self._lost))

    @property
    def _not_written(self) -> Iterator[str]:
        broken = self.counts.broken_missing + (self.counts.broken_there if self.options.existing != "keep" else 0)
        if broken:
            yield f"{plural(broken, 'picture')} cannot be read and {'gets' if broken == 1 else 'get'} none."
        if odd := self.counts.not_utf8:
            one = odd == 1
            yield f"{plural(odd, 'caption')} {'is' if one else 'are'} not UTF-8 and {'stays' if one else 'stay'}."

    @property
    def _lost(self) -> Iterator[str]:
        """A caption is written as one line, and is what stood in the first."""
        keeps = self.options.existing == "keep"
        count = self.counts.blank_first if keeps else self.counts.several_lines
        one = count == 1
        if count and keeps:
            begins = f"{'begins' if one else 'begin'} with a blank line and {'counts' if one else 'count'} as none"
            yield f"{plural(count, 'caption')} {begins}; the lines below it go."
        elif count:
            stays = "all of them go" if self.options.existing == "replace" else "only the first stays"
            yield f"{plural(count, 'caption')} {'has' if one else 'have'} several lines; {stays}."

    @property
    def warning(self) -> str:
        """A sentence on options that do not go together, "" for none; tags and names of files have no lengths."""
        return self.options.crossed_lengths if self.options.model not in (WD14, FILENAME, CLASS) else ""

    @property
    def _written(self) -> str:
        if not self.missing + self.there:
            return "There are no pictures to be captioned."
        have = f"{plural(self.missing + self.there, 'picture')}, {self.missing:,} without a caption"
        if not self.to_write:
            return f"{have}: there is nothing to write. Choose append or replace to change those that are there."
        others = {"append": "added to", "replace": "replaced"}.get(self.options.existing, "")
        if not self.missing:
            return f"{have}: {plural(self.there, 'caption')} will be {others}."
        also = f", {self.there:,} {others}" if others and self.there else ""
        return f"{have}: {plural(self.missing, 'caption')} will be written{also}."


def options_of(project: Project, over: Mapping[str, object] | None = None) -> CaptioningOptions:
    """The project's options, with others over them. Raises UserError `bad-value`, `unknown-option`."""
    return captioning(project.captioning, over or {})


def set_values(options: CaptioningOptions) -> dict[str, object]:
    """Those that are not the default: what a job is given."""
    known = job_options("captioning")
    return {name: value for name, value in options.model_dump().items() if value != known[name].default}


def set_option(draft: Draft, name: str, value: object) -> UserError | None:
    """Give an option a value, or a text that means one; what is wrong with it, or what kept it from being saved."""
    try:
        plain = value_of("captioning", name, value) if isinstance(value, str) else value
        captioning({name: plain})
    except UserError as error:
        return error
    return draft.edit(change_of("captioning", name, plain, job_options("captioning")[name].default))


def outlook(project: Project, options: CaptioningOptions, extension: str) -> Outlook:
    """Reads every caption. Raises UserError `not-readable`."""
    return Outlook(Counter().count(project, options.folders, extension), options)


def refuse_without_pictures(project: Project, found: Outlook) -> None:
    """Raises UserError where there is no picture to be captioned, before anything is downloaded for that."""
    if found.missing + found.there:
        return
    kinds: tuple[tuple[Kind, Path], ...] = (("train", project.image_dir), ("reg", project.reg_dir))
    parents = [(kind, parent) for kind, parent in kinds if found.options.folders in (kind, "both")]
    folders = [folder for kind, parent in parents for folder in find_folders(parent, kind, project.repeats)[0]]
    listed = [picture_files(folder.path) for folder in folders]
    if any(pictures for pictures, _ in listed):  # broken ones, or they are left out
        raise UserError("no-usable-picture", found.sentence)
    if not folders:
        raise no_picture_folder(parents[0][1], [])
    raise no_pictures(parents[0][1], folders, [finding for _, odd in listed for finding in odd])


class Counter:
    """Counts captions anew only where the folders, or what lies in them, are other ones. Any thread may ask."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._of: object = None
        self._counts = Counts()

    def count(self, project: Project, folders: Folders, extension: str) -> Counts:
        """Raises UserError `not-readable`."""
        with self._turn:
            of = project.path, folders, extension, tuple(project.left_out), fingerprint(project)
            if of != self._of:
                measures = kept_measures(project)
                self._counts = count_captions(project, folders, extension, measures)
                self._of = of
                keep_measures(project, measures)
            return self._counts


def example(options: CaptioningOptions, trigger: str, class_name: str) -> str:
    """What a caption will look like."""
    said = {"filename": "the name of the file", "class": class_name or "the class"}.get(options.model, EXAMPLE)
    said = "1boy, solo, beach, blue sky" if options.model == "wd14" else said
    kind = "reg" if options.folders == "reg" else "train"
    prefix, suffix = affixes(options, trigger, "reg" if kind == "reg" else "train")
    before = "what stands there" if options.existing == "append" else ""
    return caption_for(before, said, options.existing, prefix, suffix)


def meant(model: str, base_model: str, project: Path) -> str:
    """What `auto` takes for this base model, in the option's own words, and whether it is on this machine."""
    name = resolve_name(model, base_model, project)
    short = next((known for known, it in KNOWN_CAPTIONERS.items() if it.hub == name), name)
    try:
        find(name, folder=project)
    except UserError as error:
        lacking = error.code in ("not-downloaded", "incomplete")
        return f"takes {short}, a download of {size_of(name)}" if lacking else f"takes {short}, which is not usable"
    return f"takes {short}, which is here"


def on_subjects(subjects: Subjects) -> str:
    """A sentence where a project has several subjects, "" where it has one."""
    if not subjects.others:
        return ""
    names = " and ".join(f"{one.trigger} {one.class_name}".strip() for one in subjects.all[:MOST_NAMED])
    more = len(subjects.all) - MOST_NAMED
    names += f" and {more} more" if more > 0 else ""
    return f"Each folder's captions get the trigger word and the class of what it shows: {names}."


def download_for(options: CaptioningOptions, base_model: str, project: Path) -> tuple[str, str]:
    """(name on Hugging Face, what it weighs in words) of a captioner that is to be downloaded first; ("", "") where it
    is here. Raises UserError where it is none at all, and `needs-onnx` before a tagger comes that could not run.
    """
    try:
        if find(options.model, base_model, project).kind == "tagger":
            refuse_without_onnx()
    except UserError as error:
        if error.code not in ("not-downloaded", "incomplete"):
            raise
        name = resolve_name(options.model, base_model, project)
        if name == KNOWN_CAPTIONERS[WD14].hub:
            refuse_without_onnx()
        return name, size_of(name)
    return "", ""


def job_for(project: Project, settings: Settings, options: CaptioningOptions) -> Job:
    """The job, frozen: which captioner is meant, and where it lies, is decided now. No base model is needed.

    Raises UserError for a captioner that is not here.
    """
    name = resolve_name(options.model, settings.pretrained_model_name_or_path, project.path)
    find(name, folder=project.path)
    own = None if name in KNOWN else existing_path(name, project.path)
    return Job(
        KIND,
        project.path,
        project.name,
        trigger=project.trigger,
        class_name=project.class_name,
        settings=settings,
        repeats=project.repeats,
        left_out=tuple(project.left_out),
        device=options.device,
        arguments={"options": set_values(options) | {"model": str(own or name)}},
    )


def begin(project: Project, settings: Settings, options: CaptioningOptions) -> tuple[RunFolder, bool]:
    """(the run that is at work now, whether it goes on with one that was stopped or died). Raises UserError."""
    job = job_for(project, settings, options)
    if (going := at_work(project.path)) is not None:
        raise UserError(
            "run-busy", f"Captions are being written already, in the run {going.name}.", "Wait, or stop it."
        )
    before = unfinished(project.path, job)
    if before is not None:
        start(before, fresh=False)
        return before, True
    run = create(project.runs_dir, job)
    start(run)
    return run, False


def at_work(project: Path) -> RunFolder | None:
    """The run that writes captions of this project now."""
    return job_runs.at_work(project, KIND)


def last_run(project: Path) -> RunFolder | None:
    return next(job_runs.newest(project, KIND), None)


def unfinished(project: Path, job: Job) -> RunFolder | None:
    """The newest run, where it did the same as `job` and was stopped, failed or died before it was through."""
    run = last_run(project)
    with contextlib.suppress(UserError):
        if run is None or _essence(run.job) != _essence(job):
            return None
        return run if observe(run).state in ("stopped", "died", "failed") else None
    return None


def _essence(job: Job) -> tuple[object, ...]:
    """What makes two jobs the same work."""
    extension = job.settings.caption_extension if job.settings is not None else ""
    return dict(job.arguments.get("options") or {}), job.trigger, job.class_name, job.left_out, extension


def how_it_ended(seen: Observation) -> tuple[str, str]:
    """(mark, sentence) of a run that is over."""
    return job_runs.how_it_ended(seen, "the same again goes on where it was.")
