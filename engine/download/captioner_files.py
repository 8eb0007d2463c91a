"""Which files of a captioner on Hugging Face are needed: a transformers model's, or a tagger's."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from engine.plan.captioners import CONFIG, ONNX, TAGS, kind_of
from engine.plan.errors import UserError

if TYPE_CHECKING:
    from engine.download.hub import HubFile

SMALL = re.compile(r"[\w.-]+\.(json|txt|model|jinja|csv)")
_WHOLE = "model.safetensors"
_PIECE = re.compile(r"model-\d{5}-of-\d{5}\.safetensors")
_PICKLE = "pytorch_model.bin"


def is_captioner(files: Sequence[HubFile]) -> bool:
    """Whether a repository may hold a captioner, and is no model for drawing."""
    names = {file.name for file in files}
    return "model_index.json" not in names and (CONFIG in names or {ONNX, TAGS} <= names)


def needed_weights(name: str, files: Sequence[HubFile]) -> list[HubFile]:
    """The weights: of a tagger its ONNX file, else safetensors; a pickle only where there is nothing else, since
    transformers reads nothing but weights from it. Raises UserError `no-weights`.
    """
    by_name = {file.name: file for file in files}
    if {ONNX, TAGS} <= by_name.keys():
        return [by_name[ONNX]]
    if _WHOLE in by_name:
        return [by_name[_WHOLE]]
    pieces = [file for file in files if _PIECE.fullmatch(file.name)]
    if pieces:
        return pieces
    if _PICKLE in by_name:
        return [by_name[_PICKLE]]
    raise UserError(
        "no-weights", f"{name} on Hugging Face has no weights that can be used here.", "Choose another captioner."
    )


def check(snapshot: Path, name: str) -> None:
    """Refuse what is no captioner, as far as its files are here.

    Raises UserError `no-such-captioner`, `needs-own-code`, and `incomplete` while weights are missing.
    """
    if not (snapshot / TAGS).is_file():
        from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

        try:
            model_type = json.loads((snapshot / CONFIG).read_bytes()).get("model_type", "")
        except (OSError, ValueError, AttributeError, RecursionError):
            model_type = ""
        if model_type not in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES:
            raise UserError(
                "no-such-captioner",
                f"{name} is neither a base model for LoRAs nor a model that writes about pictures ({model_type}).",
                "Choose an SDXL model in diffusers' layout, or an image-to-text model.",
            )
    kind_of(snapshot, name)
