"""Every option of a training, declared once: name (sd-scripts' own), type, limits, default and words for a newcomer.

The form, the command line, the checks and the documentation all read these declarations, one module a group. How layers
of values become one `Settings` stands in `engine.plan.settings`, what an option is made of in `engine.plan.option`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from engine.plan.option import Option, OptionGroup, describe
from engine.plan.options.captions import CaptionOptions
from engine.plan.options.learning import LearningOptions
from engine.plan.options.model import ModelOptions
from engine.plan.options.network import NetworkOptions
from engine.plan.options.noise import NoiseOptions
from engine.plan.options.parts import PartOptions
from engine.plan.options.pictures import PictureOptions
from engine.plan.options.samples import SampleOptions
from engine.plan.options.training import TrainingOptions
from engine.plan.options.validation import ValidationOptions

__all__ = ["Settings", "by_name", "options"]

GROUPS: tuple[type[OptionGroup], ...] = (
    ModelOptions,
    CaptionOptions,
    TrainingOptions,
    LearningOptions,
    PartOptions,
    PictureOptions,
    NetworkOptions,
    NoiseOptions,
    ValidationOptions,
    SampleOptions,
)
"""In the order of a form."""


class Settings(
    SampleOptions,
    ValidationOptions,
    NoiseOptions,
    NetworkOptions,
    PictureOptions,
    PartOptions,
    LearningOptions,
    TrainingOptions,
    CaptionOptions,
    ModelOptions,
):
    """The resolved options of one training. Frozen; made by `engine.plan.settings.resolve`.

    The groups stand here from the last to the first, as pydantic takes the fields of the last base first.
    """


@cache
def options() -> tuple[Option, ...]:
    """Every option, in the order of a form."""
    return tuple(describe(name, field) for group in GROUPS for name, field in group.model_fields.items())


@cache
def by_name() -> Mapping[str, Option]:
    """Every option by its name."""
    return {option.name: option for option in options()}
