"""What the model predicts, settled between the settings and the marks of the base model itself.

The options `v_parameterization` and `zero_terminal_snr` are "auto" unless somebody knows better than the checkpoint.
"""

from __future__ import annotations

from dataclasses import replace

from engine.plan.base_model import BaseModel, PredictionType
from engine.plan.errors import UserError
from engine.plan.settings import Settings


def as_trained(base: BaseModel, settings: Settings) -> BaseModel:
    """The base model with the prediction type that it is trained and drawn with under these settings.

    Zero-terminal SNR goes with v-prediction: by itself it is never used for a model that predicts noise.
    """
    prediction: PredictionType = base.prediction_type
    if settings.v_parameterization != "auto":
        prediction = "v_prediction" if settings.v_parameterization == "true" else "epsilon"
    zero = base.zero_terminal_snr and prediction == "v_prediction"
    if settings.zero_terminal_snr != "auto":
        zero = settings.zero_terminal_snr == "true"
    return replace(base, prediction_type=prediction, zero_terminal_snr=zero)


def settled(settings: Settings, base: BaseModel) -> tuple[Settings, BaseModel]:
    """Settings and base model of a training that agree with each other: nothing is "auto" any more.

    Raises UserError `no-timesteps` where no noise level is left to train.
    """
    if settings.min_timestep >= settings.max_timestep:
        raise UserError(
            "no-timesteps",
            f"min_timestep {settings.min_timestep} is not below max_timestep {settings.max_timestep}, so no noise "
            "level is left to train.",
            "Set min_timestep = 0 and max_timestep = 1000.",
        )
    base = as_trained(base, settings)
    words = {True: "true", False: "false"}
    agreed = {
        "v_parameterization": words[base.prediction_type == "v_prediction"],
        "zero_terminal_snr": words[base.zero_terminal_snr],
    }
    return settings.model_copy(update=agreed), base
