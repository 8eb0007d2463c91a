"""The job that captions a project's pictures. It goes on where it stopped, and never writes over a person's work.

What is to be done, and what every caption was before, is noted down once, and what is said of each picture as soon as
it is there. All captions are written together in the end, also where that is a stop or a failure: so one undo takes all
of a run back. A caption that is another one by then was edited meanwhile, and stays.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from engine.caption.batches import captions
from engine.caption.captioner import Shown
from engine.caption.load import device_for, load
from engine.caption.opening import opened
from engine.caption.result_words import in_words
from engine.caption.resumed import resumed
from engine.context import JobContext, Progress, Stopped
from engine.data.ahead import ahead
from engine.device import describe
from engine.plan.caption_edits import Change
from engine.plan.caption_files import caption_path, one_line, read_for_editing
from engine.plan.caption_history import History
from engine.plan.caption_joining import affixes, caption_for
from engine.plan.caption_undone import left_by_undo
from engine.plan.captioners import find
from engine.plan.captioning import CaptioningOptions
from engine.plan.captions import NotUTF8Error, caption_file
from engine.plan.errors import UserError, plural
from engine.plan.folders import find_folders, split_class_words
from engine.plan.job_options import captioning
from engine.plan.project import Project
from engine.plan.subjects import Subject, Subjects
from engine.plan.wanted_captions import Wanted, wanted_captions
from engine.runs.captions import Done, Log, State, newest_done, read_plan, write_plan

READING_THREADS = 2
STATES: tuple[State, ...] = ("written", "unchanged", "kept", "skipped")


def run(context: JobContext) -> dict[str, Any]:
    """Arguments of the job: `options`, those of [captioning] that are set.

    The result counts what was written, stayed as it was, was kept and skipped in all of the run's lives.
    """
    job = context.job
    assert job.project is not None
    assert job.settings is not None
    options = captioning(job.arguments.get("options") or {})
    base_model = job.settings.pretrained_model_name_or_path
    found = find(options.model, base_model, job.project)
    device = device_for(found, options)
    context.announce(describe(device))
    began = time.monotonic()
    project = Project.open(job.project)
    project.left_out = list(job.left_out)
    work = _Work(context, project, options, job.settings.caption_extension)
    if options.crossed_lengths and found.kind in ("blip", "florence2", "any"):
        context.warn("lengths-crossed", options.crossed_lengths)
    try:
        if work.left:
            with context.phase(f"loading {found.name}"):
                captioner = load(found, options, device)
            context.raise_if_stopped()
            with context.phase("captioning", work.total, "pictures", done=work.total - len(work.left)) as progress:
                for batch in captions(captioner, work.pictures(progress), options.batch_size, device, work.halved):
                    work.hear(batch, progress)
    except Stopped:
        pass
    finally:
        try:
            work.write(found.name)
        finally:
            work.log.close()
    return work.result(found.name, time.monotonic() - began)


class _Work:
    """What is to be done in this run, and doing it."""

    def __init__(self, context: JobContext, project: Project, options: CaptioningOptions, extension: str) -> None:
        self._context, self._project, self._options, self._extension = context, project, options, extension
        self.plan = wanted_captions(project, options.folders, extension)
        training, _ = find_folders(project.image_dir, "train", project.repeats)
        job = context.job
        self._subjects = Subjects.of(job.trigger, job.class_name, (folder.path for folder in training))
        self.done: dict[str, State] = {}
        self.texts: dict[str, str] = {}
        self._skipped: dict[str, Done] = {}
        self._count: Counter[State] = Counter()
        before, old = newest_done(context.run), read_plan(context.run)
        again: list[Done] = []
        if old is not None or before:
            self.plan, again = resumed(old or (), self.plan, before, options.existing, self._taken_back())
        write_plan(context.run, self.plan)
        there = {wanted.path for wanted in self.plan}
        for done in before.values():
            if done.path in there:
                self._take(done)
        self.log = Log(context.run)
        for done in again:
            if done.state == "skipped":
                context.warn(done.code, done.text)
            self.log.add(done)
            self._take(done)
        for wanted in self.plan:
            if options.existing == "keep" and wanted.before and wanted.path not in self.done:
                self._note(wanted, "kept")
        self.left = [wanted for wanted in self.plan if wanted.path not in self.done]
        self._wanted = {self._path(wanted): wanted for wanted in self.left}

    @property
    def total(self) -> int:
        return len(self.plan) - self._count["kept"]

    def _taken_back(self) -> Callable[[Wanted], bool]:
        """Whether a caption is as undo has left it."""
        left = left_by_undo(self._project.path)

        def taken_back(wanted: Wanted) -> bool:
            file = caption_path(self._path(wanted), self._extension)
            return file in left and left[file] == wanted.before

        return taken_back

    def _path(self, wanted: Wanted) -> Path:
        return self._project.path / wanted.path

    def _subject(self, wanted: Wanted) -> Subject:
        """Whom a picture shows; regularisation pictures show a class, which has no trigger word."""
        if wanted.kind == "reg":
            return Subject("", self._subjects.class_of_regularisation(wanted.class_words))
        subject = self._subjects.of_picture(self._path(wanted))
        return Subject(subject.trigger, subject.class_name or split_class_words(wanted.class_words)[1])

    def pictures(self, progress: Progress) -> Iterator[Shown]:
        """Those that are left and can be read; the others are told of, and skipped."""

        def look(wanted: Wanted) -> tuple[Wanted, Shown | UserError]:
            try:
                subject = self._subject(wanted)
                image = opened(self._path(wanted))
                return wanted, Shown(self._path(wanted), image, subject.class_name, subject.trigger)
            except UserError as error:
                return wanted, error

        for wanted, shown in ahead(look, self.left, READING_THREADS):
            if isinstance(shown, Shown):
                yield shown
            else:
                self._skip(wanted, shown.code, shown.message)
                progress(self._finished)

    def hear(self, batch: list[tuple[Shown, str]], progress: Progress) -> None:
        """Note down what is said of some pictures."""
        for shown, said in batch:
            wanted = self._wanted[shown.path]
            prefix, suffix = affixes(self._options, shown.trigger, wanted.kind)
            text = caption_for(wanted.before or "", said, self._options.existing, prefix, suffix, shown.trigger)
            if text:
                self._note(wanted, "said", one_line(text))
            else:
                name = shown.path.name
                self._skip(wanted, "nothing-said", f"Nothing was found to say of {name}; it gets no caption.")
            progress.done = self._finished
        progress(self._finished)
        self._context.raise_if_stopped()

    def write(self, model: str) -> None:
        """Write all that was said and is not written yet, as one change that can be undone."""
        due = [wanted for wanted in self.plan if self.done.get(wanted.path) == "said"]
        changes, unreadable = [], {}
        for wanted in due:
            try:
                now = _now(self._path(wanted), self._extension)
            except UserError as error:
                now = None  # the change is a conflict
                utf8 = isinstance(error, NotUTF8Error)
                unreadable[wanted.path] = error.code if utf8 else "caption-unreadable"
            if now != self.texts[wanted.path]:  # else an engine was killed before it could note it down
                changes.append(Change(self._path(wanted), wanted.before, self.texts[wanted.path]))
        label = f"captioning with {model}"  # without a number: how many are written is known afterwards
        outcome = History(self._project.path, self._extension).apply(label, changes) if changes else None
        stayed = {conflict.picture: conflict.why for conflict in outcome.conflicts} if outcome is not None else {}
        for wanted in due:
            if (why := stayed.get(self._path(wanted))) is not None:
                self._skip(wanted, unreadable.get(wanted.path, "caption-changed"), why)
            else:
                same = wanted.before == self.texts[wanted.path]
                self._note(wanted, "unchanged" if same else "written", self.texts[wanted.path])

    def _skip(self, wanted: Wanted, code: str, message: str) -> None:
        self._context.warn(code, message)
        self._note(wanted, "skipped", message, code)

    def _note(self, wanted: Wanted, state: State, text: str = "", code: str = "") -> None:
        done = Done(wanted.path, state, text, code)
        self.log.add(done)
        self._take(done)

    def _take(self, done: Done) -> None:
        """This is how a picture stands now."""
        if (old := self.done.pop(done.path, None)) is not None:
            self._count[old] -= 1
        self._skipped.pop(done.path, None)
        if done.state == "due":
            return
        self.done[done.path] = done.state
        self._count[done.state] += 1
        if done.state == "said":
            self.texts[done.path] = done.text
        elif done.state == "skipped":
            self._skipped[done.path] = done

    @property
    def _finished(self) -> int:
        return self._count.total() - self._count["kept"]

    def halved(self, size: int) -> None:
        self._context.warn(
            "batch-halved",
            f"The memory was too small; from now on {plural(size, 'picture')} at once.",
            {"batch_size": size},
        )

    def result(self, model: str, seconds: float) -> dict[str, Any]:
        count: dict[str, int] = {state: self._count[state] for state in STATES}
        missing = len(self.plan) - len(self.done)
        return {
            **count,
            "model": model,
            "seconds": round(seconds, 3),
            "message": in_words(count, model, missing, self._skipped.values()),
            "complete": not missing,
        }


def _now(picture: Path, extension: str) -> str | None:
    """As `Wanted.before`, of this moment."""
    return read_for_editing(picture, extension) if caption_file(picture, extension) is not None else None
