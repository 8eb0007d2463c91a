"""The wizard's steps in their order: is one done, does it need attention, and what is missing. Pure functions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from engine.plan.errors import Finding, are, few, inert, plural
from engine.plan.hardware_checks import CODES
from lora_tui.survey import Survey

StepName = Literal[
    "project", "pictures", "regularisation", "captions", "model", "settings", "review", "training", "results"
]
Mark = Literal["done", "attention", "todo", "on"]

_PICTURES = {"small-pictures", "few-pictures", "unfamiliar-bucket", "short-batches", "few-steps"}
_REGULARISATION = {"no-regularisation", "preserved-twice", "reg-unused", "reg-often", "reg-other-class"}
_CAPTIONS = {"caption-without-trigger", "reg-caption-with-trigger", "caption-not-utf8"}
NAMED, NAME_LETTERS = 2, 20  # names in a sentence, and letters of each: two rows of 74 have room for what to do too


@dataclass(frozen=True)
class Step:
    name: StepName
    title: str
    asks: str  # the question it answers, for its header


NOTHING_TRAINED = "Nothing has been trained yet."
STEPS: tuple[Step, ...] = (
    Step("project", "Project", "Who or what is this LoRA for?"),
    Step("pictures", "Pictures", "What is it to learn from?"),
    Step("regularisation", "Regularisation", "What is to stay as it is?"),
    Step("captions", "Captions", "What do the pictures show?"),
    Step("model", "Base model", "Which model is it trained on?"),
    Step("settings", "Settings", "How is it trained?"),
    Step("review", "Review", "Is everything as you want it?"),
    Step("training", "Training", "How is it coming along?"),
    Step("results", "Results", "Which LoRA do you keep?"),
)


@dataclass(frozen=True)
class Standing:
    """How a step stands; "on" is at work. missing: what is not there yet, or worth a look; "" where it is done."""

    mark: Mark
    missing: str = ""
    count: str = ""  # a figure for the rail, such as the number of pictures


@dataclass(frozen=True)
class Progress:
    """What the steps are judged by, and nothing else: of equal ones the steps stand alike.

    typed: how many values cannot be used yet. trained: whether any training of the project has begun. running: whether
    one is at work. finished: whether one has come to its end. loras: how many are saved.
    """

    trigger: str
    class_name: str
    survey: Survey | None
    typed: int = 0
    trained: bool = False
    running: bool = False
    finished: bool = False
    loras: int = 0


def standing(step: StepName, progress: Progress) -> Standing:
    """How a step of this project stands."""
    return _JUDGES[step](progress)


def findings_of(step: StepName, survey: Survey) -> list[Finding]:
    """What was found that this step can mend."""
    if step == "review":
        return list(survey.findings)
    return [finding for finding in survey.findings if _home(finding) == step]


def _home(finding: Finding) -> StepName:
    code = finding.code
    if finding.option == "pretrained_model_name_or_path":
        return "model"
    if code in _REGULARISATION or code.startswith("reg-"):
        return "regularisation"
    if code in _CAPTIONS or code.startswith("caption"):
        return "captions"
    if code == "no-trigger":
        return "project"
    if code in _PICTURES:
        return "pictures"
    return "settings" if finding.option is not None or code in CODES else "pictures"


def _project(progress: Progress) -> Standing:
    if not progress.trigger:
        return Standing("todo", "A trigger word is missing.")
    if not progress.class_name:
        return Standing("attention", "There is no class word: say what it is in one plain word, such as man.")
    return Standing("done")


def _pictures(progress: Progress) -> Standing:
    survey = progress.survey
    if survey is None:
        return Standing("todo", "The pictures are being looked at.")
    if survey.pictures_error is not None:
        return Standing("todo", str(survey.pictures_error))
    if survey.dataset is None:
        return Standing("todo", "")
    return _by_findings("pictures", survey, str(len(survey.dataset.used_of("train"))))


def _regularisation(progress: Progress) -> Standing:
    survey = progress.survey
    if survey is None or survey.dataset is None:
        return Standing("todo")
    count = survey.dataset.steps.num_reg_on_disk
    return _by_findings("regularisation", survey, str(count) if count else "")


def _captions(progress: Progress) -> Standing:
    survey = progress.survey
    if survey is None:
        return Standing("todo")
    if survey.dataset is None:
        return Standing("todo")
    wrong = next((finding for finding in survey.findings if finding.code == "caption-not-utf8"), None)
    if wrong is not None:
        return Standing("attention", str(wrong))
    train = survey.dataset.used_of("train")
    without = [picture for picture in train if picture.caption_path is None]
    if without:
        named = few((inert(picture.path.name, NAME_LETTERS) for picture in without), NAMED)
        have = "has" if len(without) == 1 else "have"
        return Standing("todo", f"{len(without):,} of {len(train):,} pictures {have} no caption: {named}.")
    subjects = survey.dataset.subjects(progress.trigger, progress.class_name)
    if bare := [picture.path for picture in train if subjects.lacks_trigger(picture.path, picture.caption)]:
        words = dict.fromkeys(subjects.of_picture(path).trigger for path in bare)
        word = "the word " + " or ".join(f'"{inert(trigger, 2 * NAME_LETTERS)}"' for trigger in words)
        return Standing("attention", f"{len(bare):,} of {len(train):,} captions {are(len(bare))} without {word}.")
    return _by_findings("captions", survey, str(len(train)))


def _model(progress: Progress) -> Standing:
    survey = progress.survey
    if survey is None:
        return Standing("todo")
    if survey.base_error is not None:
        chosen = survey.base_error.code != "no-base-model"
        return Standing("attention" if chosen else "todo", str(survey.base_error))
    return Standing("done") if survey.base is not None else Standing("todo")


def _settings(progress: Progress) -> Standing:
    survey = progress.survey
    if progress.typed:
        return Standing("attention", f"{plural(progress.typed, 'value')} that you typed cannot be used yet.")
    if survey is None:
        return Standing("todo")
    if survey.settings_error is not None:
        return Standing("attention", str(survey.settings_error))
    return _by_findings("settings", survey, "")


def _review(progress: Progress) -> Standing:
    survey = progress.survey
    if survey is None:
        return Standing("todo")
    if blocking := survey.blocking:
        return Standing("attention" if progress.trained else "todo", str(blocking[0]))
    if progress.typed:
        return _settings(progress)
    return Standing("done")


def _training(progress: Progress) -> Standing:
    if progress.running:
        return Standing("on", "A training is running; it goes on when you leave.", "on")
    if progress.finished:
        return Standing("done")
    if progress.trained:
        return Standing("attention", "No training has come to its end yet.")
    return Standing("todo", NOTHING_TRAINED)


def _results(progress: Progress) -> Standing:
    if progress.loras:
        return Standing("done", count=str(progress.loras))
    return Standing("todo", "There is no LoRA yet.")


def _by_findings(step: StepName, survey: Survey, count: str) -> Standing:
    found = [finding for finding in findings_of(step, survey) if finding.level != "note"]
    return Standing("attention", found[0].message, count) if found else Standing("done", count=count)


_JUDGES: dict[StepName, Callable[[Progress], Standing]] = {
    "project": _project,
    "pictures": _pictures,
    "regularisation": _regularisation,
    "captions": _captions,
    "model": _model,
    "settings": _settings,
    "review": _review,
    "training": _training,
    "results": _results,
}


def neighbour(step: StepName, by: int) -> StepName:
    """The step before or after; the ends stay where they are."""
    names = [known.name for known in STEPS]
    return names[max(0, min(len(names) - 1, names.index(step) + by))]


def number(step: StepName) -> int:
    """Its place, from 1: the digit key that goes to it."""
    return [known.name for known in STEPS].index(step) + 1
