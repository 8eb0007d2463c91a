"""Where things lie in a run folder, how it is named, made and found again."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
import time
from pathlib import Path
from typing import Any

from engine.plan.errors import UserError
from engine.plan.files import disk_errors, mount_point
from engine.runs.job import Job, dry_run_steps, read_table

FULL_BYTES = 64 * 1024
_JOB = re.compile(r"job-([1-9]\d{0,5})\.toml")
_NAME = re.compile(r"^(\d{4}-\d{2}-\d{2}_\d{6})(?:-(\d+))?$")


class RunFolder:
    """One run on disk. Making the object touches nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.name = self.path.name
        self.first_job_path = self.path / "job.toml"
        self.events_path = self.path / "events.jsonl"
        self.lock_path = self.path / "lock"
        self.log_path = self.path / "engine.log"
        self.result_path = self.path / "result.json"
        self.control_dir = self.path / "control"
        self.samples_dir = self.path / "samples"
        self.output_dir = self.path / "output"
        self.checkpoints_dir = self.path / "checkpoints"

    def __repr__(self) -> str:
        return f"RunFolder({str(self.path)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RunFolder) and other.path == self.path

    def __hash__(self) -> int:
        return hash(self.path)

    @property
    def job_number(self) -> int:
        """1 for `job.toml`; a run that was resumed with other settings has `job-2.toml` and so on."""
        try:
            names = os.listdir(self.path)
        except OSError:
            return 1
        return max((int(match[1]) for name in names if (match := _JOB.fullmatch(name))), default=1)

    @property
    def job_path(self) -> Path:
        """The job file that counts: the newest."""
        number = self.job_number
        return self.first_job_path if number == 1 else self.path / f"job-{number}.toml"

    @property
    def job(self) -> Job:
        """The frozen job, read anew. Raises UserError "bad-job"."""
        return Job.read(self.job_path)

    def table(self) -> dict[str, Any]:
        """The job as plain values, its settings unchecked (no pydantic: quick). Raises UserError "bad-job"."""
        return read_table(self.job_path)

    @property
    def kind(self) -> str:
        """The kind of job, without checking its settings; "" if it cannot be told."""
        try:
            return str(self.table().get("kind", ""))
        except UserError:
            return ""

    @property
    def is_training(self) -> bool:
        """Whether it is a training that one can go on with; a dry run is none."""
        return self._dry_run_steps == 0

    @property
    def is_dry_run(self) -> bool:
        """Whether it is a training of a few steps that only shows that all is well."""
        return bool(self._dry_run_steps)

    @property
    def _dry_run_steps(self) -> int | None:
        """As `Job.dry_run`; None where it is no training at all."""
        try:
            table = self.table()
            return dry_run_steps(table) if table.get("kind") == "train" else None
        except (UserError, ValueError):
            return None

    @property
    def disk_full(self) -> bool:
        """Whether its disk has no room for even a few more events."""
        try:
            return shutil.disk_usage(self.path).free < FULL_BYTES
        except OSError:
            return False

    @property
    def bytes(self) -> int:
        """What the folder takes on disk, links to elsewhere not counted."""
        total = 0
        for folder, _, files in os.walk(self.path):  # passes over folders that vanish; an engine may be at work
            for name in files:
                with contextlib.suppress(FileNotFoundError):
                    found = Path(folder, name).lstat()
                    total += found.st_size if stat.S_ISREG(found.st_mode) else 0
        return total

    def absolute(self, path: str) -> Path:
        """A path from an event, which is relative to the run folder, as an absolute one."""
        return self.path / path


def create(runs_dir: Path, job: Job, now: float | None = None) -> RunFolder:
    """Make a run folder in `runs_dir` with `job` in it, named by the local time; "-2" and so on where that is taken.

    Leaves nothing behind when it fails. Raises UserError, e.g. "disk-full".
    """
    if job.project is not None and runs_dir.parent == job.project and not job.project.is_dir():
        # Else a folder that was moved away would come back with nothing but this run in it.
        raise UserError("no-such-folder", f"The project's folder {job.project} is not there any more.", "Put it back.")
    stem = time.strftime("%Y-%m-%d_%H%M%S", time.localtime(now))
    new_parent = not runs_dir.exists()
    made: Path | None = None
    try:
        with disk_errors(runs_dir):
            runs_dir.mkdir(parents=True, exist_ok=True)
            made = _make_free(runs_dir, stem)
            run = RunFolder(made)
            for folder in (run.control_dir, run.samples_dir, run.output_dir, run.checkpoints_dir):
                folder.mkdir()
            job.write(run.job_path)
    except BaseException:
        if made is not None:
            shutil.rmtree(made, ignore_errors=True)
        if new_parent:
            _remove_empty(runs_dir)
        raise
    return run


def discard(run: RunFolder) -> None:
    """Remove a run in which nothing has happened, and the folder of runs if it was the only one."""
    shutil.rmtree(run.path, ignore_errors=True)
    _remove_empty(run.path.parent)


def full_disk(run: RunFolder) -> UserError:
    """What to say of an engine that could not even say it itself."""
    return UserError(
        "disk-full",
        f"The disk at {mount_point(run.path)} is full, and the engine could not go on.",
        "Free some space there and start again.",
    )


def _remove_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()


def _make_free(runs_dir: Path, stem: str) -> Path:
    number = 1
    while True:
        path = runs_dir / (stem if number == 1 else f"{stem}-{number}")
        try:
            path.mkdir()  # not exist_ok: of two that ask at once, one gets the next number
        except FileExistsError:
            number += 1
        else:
            return path


def list_runs(project: Path) -> list[RunFolder]:
    """The runs of a project (or of a folder of runs), oldest first."""
    runs_dir = project / "runs" if (project / "runs").is_dir() else project
    try:
        # Hidden ones are being removed.
        paths = [path for path in runs_dir.iterdir() if not path.name.startswith(".")]
        found = [RunFolder(path) for path in paths if (path / "job.toml").is_file()]
    except OSError:
        return []
    return sorted(found, key=lambda run: _order(run.name))


def find(run: str, project: Path | None = None) -> RunFolder:
    """The run that a person means: "last", a run's name in `project`, or a path.

    Raises UserError "no-such-run" naming the runs there are.
    """
    for path in ([project / "runs" / run] if project is not None and run != "last" else []) + [Path(run)]:
        if (path / "job.toml").is_file():
            return RunFolder(path)
    runs = list_runs(project) if project is not None else []
    if run == "last" and runs:
        return runs[-1]
    known = ", ".join(other.name for other in runs[-3:])
    where = f" in {project}" if project is not None else ""
    raise UserError(
        "no-such-run",
        f"There is no run{where} yet." if run == "last" else f"There is no run {run}{where}.",
        f"The newest runs are: {known}." if known else "Name its folder, or its project with --project DIR.",
    )


def _order(name: str) -> tuple[str, int]:
    """Sorts -10 after -9."""
    match = _NAME.match(name)
    return (match[1], int(match[2] or 1)) if match else (name, 0)
