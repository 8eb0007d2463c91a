"""A drawn comparison: the same prompt and seed without and with a LoRA, and what its pictures are."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from pathlib import Path

from engine.plan.errors import UserError, inert
from engine.runs.folder import RunFolder, list_runs
from engine.runs.snapshot import Sample
from engine.runs.state import Observation, observe

LOOKED_AT = 40  # runs, the newest


@dataclass(frozen=True)
class Comparison:
    """`words`: with what was drawn, `prompt`: of what. `pictures`: those that are there already."""

    run: RunFolder
    words: str
    prompt: str
    pictures: list[Sample] = field(default_factory=list)

    @property
    def sheet(self) -> Path | None:
        """All on one PNG, when it is there."""
        path = self.run.output_dir / "comparison.png"
        return path if path.is_file() else None

    def picture(self, with_lora: bool) -> Path | None:
        """The newest picture without, or with, the LoRA."""
        found = [sample for sample in self.pictures if bool(sample.weight) == with_lora]
        return self.run.absolute(found[-1].path) if found else None

    def named(self) -> list[tuple[Path, str]]:
        """Every picture with what it shows, the sheet first."""
        found = [(self.sheet, f"Without and with {self.words}")] if self.sheet is not None else []
        for sample in self.pictures:
            name = f"With {self.words}" if sample.weight else "Without the LoRA"
            found.append((self.run.absolute(sample.path), name))
        return found


def comparison(run: RunFolder, seen: Observation) -> Comparison | None:
    """What a run has drawn so far; None where it is no comparison."""
    try:
        job = run.job
    except UserError:
        return None
    if job.kind != "compare":
        return None
    said = job.arguments
    prompts, seeds, weights = (list(said.get(name) or []) for name in ("prompts", "seeds", "weights"))
    strongest = max((weight for weight in weights if isinstance(weight, int | float)), key=abs, default=1.0)
    words = inert(Path(str(said.get("lora", ""))).stem)
    words += f", weight {strongest:g}" + (f", seed {seeds[0]}" if len(seeds) == 1 else "")
    return Comparison(run, words, inert(str(prompts[0])) if prompts else "", list(seen.snapshot.samples))


def last_comparison(project: Path) -> Comparison | None:
    """The newest of a project that was drawn to its end."""
    for run in reversed(list_runs(project)[-LOOKED_AT:]):
        with contextlib.suppress(UserError, OSError):
            if run.job.kind == "compare" and (seen := observe(run)).state == "finished":
                return comparison(run, seen)
    return None
