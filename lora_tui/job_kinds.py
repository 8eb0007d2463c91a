"""What the kinds of jobs are called, and how one is at work."""

from __future__ import annotations

from collections.abc import Mapping

from engine.runs.folder import RunFolder
from engine.runs.state import State
from lora_tui.steps import StepName

WORDS = {
    "train": "training",
    "caption": "captions",
    "compare": "comparison",
    "regularise": "regularisation pictures",
    "fetch-pictures": "pictures of a data set",
    "inspect": "inspection",
    "convert": "conversion",
    "download": "download",
    "demo-proof": "look at the demo",
}
STEPS: Mapping[str, StepName] = {
    "caption": "captions",
    "regularise": "regularisation",
    "fetch-pictures": "regularisation",
}
"""The step of the wizard that shows such a job at its work."""


def kind_in_words(run: RunFolder) -> str:
    """What a run is for: `captions`, `dry run`."""
    return "dry run" if run.is_dry_run else WORDS.get(run.kind, run.kind)


def is_beside_training(run: RunFolder) -> bool:
    """Whether it is known to be another job than a training."""
    return run.kind not in ("train", "")


def state_in_words(run: RunFolder, state: State) -> str:
    """How a run is. Only a training prepares for something: another job is at its work from the beginning."""
    return "at work" if state == "preparing" and is_beside_training(run) else state
