"""Checkpoints that torch.save wrote (.ckpt, .pt): their tensors, through torch's reader that runs nothing in them."""

from __future__ import annotations

import dataclasses
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from engine.plan import checkpoint_kind
from engine.plan.base_model import BUCKET_STEP, BaseModel, Size
from engine.plan.errors import UserError
from engine.plan.files import reading_errors
from engine.plan.safetensors_header import Tensor as Declared

_DTYPES = {torch.float16: "F16", torch.bfloat16: "BF16", torch.float32: "F32", torch.float64: "F64"}
_IN_A_DICT = ("state_dict", "model", "module")  # under which trainers keep the weights beside their own state


def pickle_weights(path: Path) -> dict[str, Tensor]:
    """The tensors by name; of a zip archive, as all since 2020 are, they stay mapped.

    Raises UserError `is-a-pickle` where it holds more than weights and plain values, `damaged`, `not-readable`.
    """
    try:
        with reading_errors(path):
            mapped = zipfile.is_zipfile(path)
            with open(path, "rb") as file:
                if not mapped and file.read(2) == b"PK":
                    raise ValueError("the archive has no end")
            table = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as error:
        raise UserError(
            "is-a-pickle",
            f"{path} holds more than weights, things that could run programs when they are loaded, so it is not used.",
            "Use the .safetensors version of the model.",
        ) from error
    except (RuntimeError, ValueError, EOFError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise UserError(
            "damaged", f"{path} is damaged: it cannot be read as a checkpoint.", "Download it again."
        ) from error
    for name in _IN_A_DICT:
        if isinstance(table, Mapping) and isinstance(table.get(name), Mapping):
            table = table[name]
    found = {
        name: weight
        for name, weight in (table.items() if isinstance(table, Mapping) else ())
        if isinstance(name, str) and isinstance(weight, Tensor)
    }
    if not found:
        raise checkpoint_kind.not_sdxl(path, "It holds no weights.")
    return found


def unpickled(base: BaseModel, weights: Mapping[str, Tensor]) -> BaseModel:
    """What the file turned out to be. `base`: with the prediction type that it is to be trained with.

    Raises UserError as `base_model.recognise` does for a safetensors file, and `v-prediction` where the file's marks
    say what the settings do not.
    """
    declared = {
        name: Declared(_DTYPES.get(weight.dtype, str(weight.dtype)), tuple(weight.shape))
        for name, weight in weights.items()
    }
    velocity, _ = checkpoint_kind.velocity_marks(base.path, declared)
    if velocity and base.prediction_type == "epsilon":
        raise UserError(
            "v-prediction",
            f"{base.path} is a v-prediction model, which a pickle file tells only now.",
            "Set v_parameterization = true, and zero_terminal_snr = true if the model was made so.",
        )
    size: Size = "micro" if checkpoint_kind.size_of(base.path, declared) == "micro" else "sdxl"
    return dataclasses.replace(base, size=size, bucket_reso_steps=BUCKET_STEP[size], notes=())
