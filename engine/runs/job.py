"""What a run is asked to do: `job.toml`, written once before the engine starts and never changed."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.plan.errors import UserError
from engine.plan.files import atomic_write

if TYPE_CHECKING:
    from engine.plan.settings import Settings

KINDS = (
    "train", "caption", "compare", "regularise", "fetch-pictures", "inspect", "convert", "download", "demo-proof",
)  # fmt: skip
JOB_VERSION = 1
DRY_RUN_STEPS = 5  # the first warms up; four tell how long one takes


@dataclass(frozen=True)
class Job:
    """One piece of work for the engine, complete: it reads no other settings.

    `repeats` and `left_out` are the project's at the moment of launching; `arguments` belong to the kind of job.
    """

    kind: str
    project: Path | None = None
    name: str = ""
    trigger: str = ""
    class_name: str = ""
    settings: Settings | None = None
    repeats: Mapping[str, int] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    device: str = "auto"
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def dry_run(self) -> int:
        """After how many steps a training ends that only shows whether all is well, and saves nothing; 0: it is none.

        Raises ValueError where the argument is no such number.
        """
        return dry_run_steps({"kind": self.kind, "arguments": self.arguments})

    def write(self, path: Path) -> None:
        """Write the job to `path`. Raises UserError "job-exists": a job is frozen."""
        import tomlkit

        if path.exists():
            raise UserError("job-exists", f"{path} exists already.", "Start a new run.")
        table: dict[str, Any] = {
            "v": JOB_VERSION,
            "kind": self.kind,
            "device": self.device,
            "name": self.name,
            "trigger": self.trigger,
            "class": self.class_name,
            "left_out": list(self.left_out),
        }
        if self.project is not None:
            table["project"] = str(self.project)
        if self.settings is not None:
            dumped = self.settings.model_dump(mode="json")
            table["settings"] = {name: value for name, value in dumped.items() if value is not None}
        table["repeats"] = dict(self.repeats)
        table["arguments"] = {name: value for name, value in self.arguments.items() if value is not None}
        text = "# What this run does. Frozen: changing it changes nothing but what you can look up later.\n"
        try:
            content = (text + tomlkit.dumps(table)).encode("utf-8")
        except UnicodeEncodeError as error:
            line = error.object[: error.end].count("\n")
            wrong = error.object.splitlines()[line]
            raise UserError("not-utf8", f"A name in this job is not UTF-8: {wrong}.", "Rename it.") from None
        atomic_write(path, content)

    @classmethod
    def read(cls, path: Path) -> Job:
        """The job in `path`. Raises UserError "bad-job" naming the file and what is wrong in it."""
        table = read_table(path)
        settings = table.get("settings")
        project = table.get("project")
        if settings is not None:
            if not isinstance(settings, dict):
                raise _bad(path, "settings is no table")
            from engine.plan.settings import resolve  # pydantic: only when there is something for it to check

            settings = resolve(settings)
        try:
            dry_run_steps(table)
            return cls(
                kind=str(table["kind"]),
                project=Path(project) if project else None,
                name=table.get("name", ""),
                trigger=table.get("trigger", ""),
                class_name=table.get("class", ""),
                settings=settings,
                repeats=dict(table.get("repeats", {})),
                left_out=tuple(table.get("left_out", ())),
                device=table.get("device", "auto"),
                arguments=dict(table.get("arguments", {})),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise _bad(path, f"{type(error).__name__} {error}") from error


def read_table(path: Path) -> dict[str, Any]:
    """`job.toml` as plain values, without looking into the settings. Raises UserError "bad-job"."""
    if path.exists() and not path.is_file():
        raise _bad(path, "it is not a file")  # of a FIFO the reader would wait for its writer
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise _bad(path, str(error)) from error


def dry_run_steps(table: Mapping[str, Any]) -> int:
    """`Job.dry_run` of a job as plain values. Raises ValueError."""
    arguments = table.get("arguments")
    steps = arguments.get("dry_run", 0) if table.get("kind") == "train" and isinstance(arguments, Mapping) else 0
    if not isinstance(steps, int) or isinstance(steps, bool) or steps < 0:
        raise ValueError(f"dry_run is {steps!r}, which is no number of steps")
    return steps


def _bad(path: Path, why: str) -> UserError:
    return UserError("bad-job", f"{path} cannot be read as a job: {why}.", "Start a new run.")
