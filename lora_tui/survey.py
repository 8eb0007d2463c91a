"""What `check` finds of a project, for the wizard's screens: worked out in a thread, anew whenever something changed.

A survey is a plain value. The screens show the newest one there is, and never wait for the next.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from engine.plan.errors import Finding, UserError
from engine.plan.project import Project

if TYPE_CHECKING:
    from engine.plan.base_model import BaseModel
    from engine.plan.captions import CaptionsRead
    from engine.plan.dataset import Dataset
    from engine.plan.disk import DiskUse
    from engine.plan.estimate import Estimate
    from engine.plan.looked import Looks
    from engine.plan.picture_report import PictureReport, Reporter
    from engine.plan.pictures import Measures
    from engine.plan.settings import Settings

LONGEST_REST = 0.2
"""Seconds in which keys are pressed before a survey begins; a quick one rests only for as long as the last one took. A
change is painted in that time, and the next key of somebody who changes several things meets no survey at all."""
TOLD_SECONDS = 0.25  # between two reports of how far it is: each is sent over a line that may be slow


@dataclass(frozen=True, eq=False)  # equal to itself alone: thousands of pictures are not compared at every key
class Survey:
    """A project at one moment. What could not be found out is None, and its error says why.

    settings_error: project.toml holds a value that does not fit. pictures_error: nothing to train on. report: what the
    pictures' pixels tell, of those that were looked at so far. estimate: None for the practice model. disk, estimate:
    of full-size SDXL where no base model is chosen yet.
    """

    settings: Settings | None = None
    settings_error: UserError | None = None
    dataset: Dataset | None = None
    pictures_error: UserError | None = None
    base: BaseModel | None = None
    base_error: UserError | None = None
    disk: DiskUse | None = None
    report: PictureReport | None = None
    estimate: Estimate | None = None
    findings: tuple[Finding, ...] = field(default_factory=tuple)

    @property
    def blocking(self) -> list[Finding]:
        """What keeps a training from being started."""
        errors = (self.settings_error, self.pictures_error)
        found = [Finding(e.code, e.message, e.hint, level="error", overridable=False) for e in errors if e is not None]
        return found + [finding for finding in self.findings if finding.stops_training()]

    @property
    def warnings(self) -> list[Finding]:
        """What is worth a look and blocks nothing."""
        return [f for f in self.findings if f.level == "warning" and not f.stops_training()]

    @property
    def notes(self) -> list[Finding]:
        """What is only to be known."""
        return [f for f in self.findings if f.level == "note" and not f.stops_training()]


def survey(
    project: Project,
    measures: Measures,
    progress: Callable[[int, int], None] | None = None,
    read_caption: CaptionsRead | None = None,
    looks: Looks | None = None,
    reporter: Reporter | None = None,
) -> Survey:
    """Look at everything. Never raises; a `progress` that raises ends it."""
    from engine.plan import captions
    from engine.plan.base_model import recognise
    from engine.plan.checks import check_settings
    from engine.plan.dataset import scan
    from engine.plan.disk import disk_use
    from lora_tui.estimating import estimate_of, predictor_of
    from lora_tui.hardware import gpus_for, hardware_findings
    from lora_tui.in_rows import error_in_rows, finding_in_rows

    try:
        settings = project.resolved()
    except UserError as error:
        return Survey(settings_error=error)
    dataset, base, pictures_error, base_error = None, None, None, None
    try:
        base = recognise(settings.pretrained_model_name_or_path, project.path)
    except UserError as error:
        base_error = error_in_rows(error)
    try:
        dataset = scan(project, settings, progress, measures, read_caption or captions.read_caption)
    except UserError as error:
        pictures_error = error_in_rows(error)
    estimate = estimate_of(project, settings, dataset, base)
    findings = check_settings(settings, dataset, project, gpus_for(settings))
    findings += hardware_findings(settings, base, predict=predictor_of(settings, dataset))
    use = report = None
    if dataset is not None:
        if looks is not None and reporter is not None:
            report = reporter.report(settings, dataset, looks)
        findings = [*dataset.findings, *(report.findings if report is not None else ()), *findings]
        use = estimate.disk if estimate is not None else disk_use(settings, dataset, base)
    shown = tuple(finding_in_rows(finding) for finding in findings)
    return Survey(settings, None, dataset, pictures_error, base, base_error, use, report, estimate, shown)


class Surveyor:
    """Keeps the newest survey of a project. `then(survey)` and `told(done, total)` are called in its thread."""

    def __init__(self, then: Callable[[Survey], None], told: Callable[[int, int], None]) -> None:
        from engine.plan.captions import CaptionsRead
        from engine.plan.picture_report import Reporter

        self._then, self._told = then, told
        self._measures: Measures | None = None  # what the next one need not read again, and captions as well
        self._captions = CaptionsRead()
        self._reporter = Reporter()
        self.looks: Looks | None = None  # how the pictures look, once the first survey has begun
        self._asked = threading.Condition()
        self._wanted: Project | None = None
        self._rest = 0.0  # seconds, before the next one begins
        self._busy = False
        self._tell_at = 0.0  # when the next report is due

    @property
    def busy(self) -> bool:
        """Whether one is being made."""
        return self._busy

    def look(self, project: Project) -> None:
        """Make a survey of the project as it is now; one that is being made of an older state is given up."""
        from copy import deepcopy

        with self._asked:
            self._wanted = deepcopy(project)
            self._asked.notify()
            if self._busy:
                return
            self._busy = True
        # A daemon: an app that has to leave within a second cannot wait for a disk.
        threading.Thread(target=self._work, name="survey", daemon=True).start()

    def _work(self) -> None:
        from engine.plan.looked import kept_looks
        from engine.plan.measured import keep_measures, kept_measures

        while (project := self._next()) is not None:
            began = time.monotonic()
            self._tell_at = began + TOLD_SECONDS
            try:
                if self._measures is None:
                    self._measures, self.looks = kept_measures(project), kept_looks(project)
                found = survey(project, self._measures, self._progress, self._captions, self.looks, self._reporter)
                keep_measures(project, self._measures)
            except _OutdatedError:
                continue
            except Exception as error:  # nobody else would tell it, and the screens would wait for ever
                found = Survey(settings_error=UserError("internal", f"The project could not be checked: {error}"))
            self._rest = min(LONGEST_REST, time.monotonic() - began)
            if self._wanted is None:
                self._then(found)

    def _next(self) -> Project | None:
        """What is wanted now, once nothing else has been for as long as it rests; None ends it."""
        with self._asked:
            while (project := self._wanted) is not None:
                self._wanted = None
                self._asked.wait_for(lambda: self._wanted is not None, self._rest)
                if self._wanted is None:
                    return project
            self._busy = False
            return None

    def _progress(self, done: int, total: int) -> None:
        if self._wanted is not None:
            raise _OutdatedError
        if (now := time.monotonic()) > self._tell_at:
            self._tell_at = now + TOLD_SECONDS
            self._told(done, total)


class _OutdatedError(Exception):
    """Something else is wanted by now."""


def fingerprint(project: Project) -> tuple[object, ...]:
    """Changes when pictures or captions come or go, at the price of a look at each folder and no look at files."""
    found: list[object] = []
    for parent in (project.image_dir, project.reg_dir):
        try:
            with os.scandir(parent) as entries:
                folders = [str(parent), *(entry.path for entry in entries if entry.is_dir())]
            found += [(folder, os.stat(folder).st_mtime_ns) for folder in folders]
        except OSError:
            found.append(str(parent))
    return tuple(found)
