"""Going on with a training that stopped: what this machine is known to fail at is asked about, as for a new one."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from engine.plan.errors import Finding, UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.plan.dataset import Dataset
    from engine.plan.settings import Settings
    from engine.runs.folder import RunFolder
    from engine.runs.job import Job

FAILS_HERE = "This is known to fail on this machine."
SLOW_HERE = "This is known to be slow on this machine."
ONLY_SLOW = frozenset({"no-bf16"})
"""Findings on what runs all the same, many times slower."""
_TAKEN = "Close what takes the GPU's memory, and go on then."
_FIXED = "Its settings cannot change when it goes on: go on with another GPU, or start a new run with other settings."


def hindrance(run: RunFolder, job: Job) -> Finding | None:
    """What is known to fail here when the training `job` of `run` goes on, all of it in one; None where nothing is.

    Its hint names no option: those that would mend it are part of what has been trained.
    """
    from engine.plan.base_model import recognise
    from lora_tui.estimating import predictor_of
    from lora_tui.hardware import hardware_findings

    settings, project = job.settings, job.project
    if settings is None or project is None:
        return None
    try:
        base = recognise(settings.pretrained_model_name_or_path, project)
    except UserError:  # the engine tells it
        return None
    if base.size != "sdxl" or job.device == "cpu":
        return None
    # A run that memory has run out in goes on with less than its settings say.
    predict = None if _with_less(run) else predictor_of(settings, _dataset(job, settings))
    found = hardware_findings(settings, base, job.device, predict)
    return in_one([_without_option(finding) for finding in found if finding.stops_training()])


def heading(finding: Finding) -> str:
    """Under which it is asked about."""
    return SLOW_HERE if finding.code in ONLY_SLOW else FAILS_HERE


def in_one(stops: Sequence[Finding]) -> Finding | None:
    """All that keeps a training from starting, as one finding: else the next comes when the first is mended or
    accepted. What nobody can overrule comes alone. It is of the kind of the first that fails, if one does."""
    stops = [finding for finding in stops if not finding.overridable] or stops
    if not stops:
        return None
    # Sentences first: a hint may end in a command, to which nothing must stick.
    hints = sorted(dict.fromkeys(finding.hint for finding in stops), key=lambda hint: not hint.endswith("."))
    gravest = next((finding for finding in stops if finding.code not in ONLY_SLOW), stops[0])
    return replace(gravest, message=" ".join(finding.message for finding in stops), hint=" ".join(hints).strip())


def _without_option(finding: Finding) -> Finding:
    if finding.code == "no-gpu":  # whose hint is no option
        return finding
    return replace(finding, hint=_TAKEN if finding.code == "does-not-fit-now" else _FIXED)


def refuse(run: RunFolder, job: Job, accept_warnings: bool) -> None:
    """Raises UserError with what is known to fail here, unless that is accepted."""
    found = hindrance(run, job)
    if found is not None and found.stops_training(accept_warnings=accept_warnings):
        raise refusal(found)


def refusal(finding: Finding) -> UserError:
    """As a command says it that takes `--accept-warnings`."""
    error = finding.as_error()
    # In brackets: a hint may end in a command, to which no full stop must stick.
    hint = f"{error.hint} (to train all the same: --accept-warnings)" if finding.overridable else error.hint
    return UserError(error.code, error.message, hint.strip())


def _with_less(run: RunFolder) -> bool:
    from engine.runs.state import observe

    told = observe(run).snapshot.warnings
    return any(each.code == "oom" and each.step and not each.change.startswith("repeated") for each in told)


def _dataset(job: Job, settings: Settings) -> Dataset | None:
    """The pictures that it trains on, for the largest bucket; None where they cannot be read: the engine tells that."""
    from engine.plan.dataset import scan
    from engine.plan.measured import kept_measures
    from engine.plan.project import Project

    assert job.project is not None
    with suppress(UserError):
        project = Project.open(job.project)
        project.repeats, project.left_out = dict(job.repeats), list(job.left_out)
        return scan(project, settings, measure=kept_measures(project))
    return None
