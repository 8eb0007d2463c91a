"""One open project in the wizard: what its screens share. Knows nothing of widgets; whoever shows it asks it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from engine.plan.errors import UserError
from engine.runs.folder import RunFolder, list_runs
from engine.runs.lock import look
from lora_tui import recent
from lora_tui.draft import Draft
from lora_tui.ends import Ends
from lora_tui.known_projects import RUNS_LOOKED_AT
from lora_tui.looking import Looker
from lora_tui.progress import amount
from lora_tui.steps import STEPS, Progress, Standing, StepName, standing
from lora_tui.survey import Survey, Surveyor, fingerprint


class Wizard:
    """`changed()` is called, in any thread, whenever there is something new to show; `looked()` when that is only how
    far the next survey is."""

    def __init__(self, path: Path, changed: Callable[[], None], looked: Callable[[], None] | None = None) -> None:
        """Opens the project. Raises UserError as `Project.open` does."""
        self.draft = Draft(path)
        self.survey: Survey | None = None
        self.looked = ""  # how far the next survey is, in words; "" while none takes long
        self._looked_since = 0.0
        self._judged: Progress | None = None  # what the steps were judged by the last time
        self._standings: dict[StepName, Standing] = {}
        self._changed, self._looked = changed, looked or changed
        self._kinds: dict[RunFolder, Literal["training", "dry run", "other"]] = {}
        self._ends = Ends()
        self._surveyor = Surveyor(self._found, self._told)
        self._looker = Looker(self.look_again, self._changed)
        self._folders = fingerprint(self.draft.project)
        recent.remember(self.draft.path)
        self.look_again()

    # ------------------------------------------------------------------------------------------------------- surveys
    def look_again(self) -> None:
        """Something has changed: check the project anew, in the background."""
        self._surveyor.look(self.draft.project)
        self._changed()

    @property
    def looking(self) -> bool:
        """Whether a newer survey is under way."""
        return self._surveyor.busy

    @property
    def examining(self) -> bool:
        """Whether pictures are being looked at for blur and near-copies, which nothing waits for."""
        return self._looker.busy

    @property
    def examined(self) -> str:
        """How far that is, in words; "" while it does not take long."""
        return self._looker.told

    def tick(self) -> None:
        """Once a second: has somebody else changed the project file or the pictures, or has a training ended?"""
        folders = fingerprint(self.draft.project)
        if self.draft.look() or folders != self._folders:
            self._folders = folders
            self.look_again()
        elif self._judged is not None and self.progress() != self._judged:
            self._changed()

    def _found(self, survey: Survey) -> None:
        self.survey, self.looked = survey, ""
        self._changed()
        if survey.dataset is not None and self._surveyor.looks is not None:
            readable = [picture.path for picture in survey.dataset.pictures if picture.bucket[0]]
            self._looker.look(self.draft.project, self._surveyor.looks, readable)

    def _told(self, done: int, total: int) -> None:
        now = time.monotonic()
        if not self.looked or done == 0:
            self._looked_since = now
        self.looked = f"Looking at the pictures: {amount(done, total, seconds=now - self._looked_since)}"
        self._looked()

    # --------------------------------------------------------------------------------------------------------- edits
    def edited(self, trouble: UserError | None) -> UserError | None:
        """After an edit of the draft: has it checked anew, and hands on what went wrong."""
        self.look_again()
        return trouble

    # --------------------------------------------------------------------------------------------------------- steps
    def progress(self) -> Progress:
        """What the steps are judged by, now."""
        project = self.draft.project
        loras = 0
        with contextlib.suppress(OSError):
            loras = sum(path.suffix == ".safetensors" for path in project.model_dir.iterdir())
        trainings = [run for run in self.runs() if self.kind(run) == "training"]
        ends = [end for run in trainings if (end := self._ends.status(run)) is not None]
        return Progress(
            project.trigger,
            project.class_name,
            self.survey,
            typed=len(self.draft.typed),
            trained=bool(ends),
            running=any(look(run).status == "held" for run in trainings[-RUNS_LOOKED_AT:]),
            finished="finished" in ends,
            loras=loras,
        )

    def standings(self) -> dict[StepName, Standing]:
        """How each step stands; judged anew only when something they are judged by has changed, not for every key."""
        progress = self.progress()
        if progress != self._judged:
            self._judged = progress
            self._standings = {step.name: standing(step.name, progress) for step in STEPS}
        return self._standings

    def kind(self, run: RunFolder) -> Literal["training", "dry run", "other"]:
        """What a run is; its job is frozen, so it is read once."""
        if run not in self._kinds:
            self._kinds[run] = "training" if run.is_training else "dry run" if run.is_dry_run else "other"
        return self._kinds[run]

    def runs(self) -> list[RunFolder]:
        """The project's runs, oldest first."""
        return list_runs(self.draft.path)

    @property
    def gone(self) -> str:
        """What is to be said where the project's folder was moved or deleted meanwhile; else ""."""
        return self.draft.gone

    @property
    def left_at(self) -> StepName:
        """The step that was open when the app was left; the first one for a project that is new here."""
        step = self.draft.beside.remembered("wizard").get("step")
        if isinstance(step, str) and any(step == known.name for known in STEPS):
            return step  # type: ignore[return-value]
        return "project"

    def leave_at(self, step: StepName) -> None:
        """Note down where somebody is, so that the app opens there again."""
        if self.draft.beside.remembered("wizard").get("step") != step:
            self.draft.beside.remember("wizard", {"step": step})
