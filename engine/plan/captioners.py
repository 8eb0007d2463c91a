"""Which captioner a name means, and whether it is on this machine; without loading anything.

What is not here is named with what it weighs and the command that downloads it: jobs ask nothing of any network.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engine.plan.base_model import BUILT_IN, recognise
from engine.plan.captioning import AUTO, BLIP, CLASS, FILENAME, FLORENCE, MICRO, WD14
from engine.plan.errors import UserError
from engine.plan.files import existing_path
from engine.plan.hub_cache import cached_folder
from engine.plan.packages import is_installed
from engine.plan.sources import download_command, is_hub_name

Kind = Literal["blip", "florence2", "tagger", "any", "filename", "class"]

MICRO_FOLDER = Path(__file__).resolve().parent.parent / "demo" / "micro_blip"
CONFIG, TAGS, ONNX = "config.json", "selected_tags.csv", "model.onnx"
_WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin")
_MODEL_TYPES: dict[str, Kind] = {"blip": "blip", "florence2": "florence2"}


@dataclass(frozen=True)
class Known:
    """A captioner with a short name: the one on Hugging Face that is meant, and what it weighs in bytes."""

    hub: str
    bytes: int
    words: str


KNOWN: dict[str, Known] = {
    BLIP: Known("Salesforce/blip-image-captioning-large", 1_880_000_000, "BLIP large"),
    # Microsoft's own files need Microsoft's own program code; these are the same weights without it.
    FLORENCE: Known("florence-community/Florence-2-base", 1_000_000_000, "Florence-2 base"),
    WD14: Known("SmilingWolf/wd-swinv2-tagger-v3", 467_000_000, "the WD tagger, version 3"),
}


@dataclass(frozen=True)
class Captioner:
    """kind: which module runs it. path: its folder; None for those that look at no picture. name: for people."""

    kind: Kind
    path: Path | None
    name: str


def resolve_name(model: str, base_model: str = "", folder: Path | None = None) -> str:
    """What `auto` means for a project with this base model, and a known captioner's name on Hugging Face; else the
    text itself. folder: where a relative path of the base model is looked for first (the project)."""
    if model == AUTO:
        model = MICRO if _is_practice(base_model, folder) else BLIP
    return KNOWN[model].hub if model in KNOWN else model


def find(model: str, base_model: str = "", folder: Path | None = None) -> Captioner:
    """The captioner that the option `model` means. folder: where a relative path is looked for first (the project).

    Raises UserError `no-such-captioner`, `not-downloaded`, `incomplete`, `needs-own-code`.
    """
    name = resolve_name(model, base_model, folder)
    if name == FILENAME:
        return Captioner("filename", None, "file names")
    if name == CLASS:
        return Captioner("class", None, "trigger word and class")
    if name == MICRO:
        if not (MICRO_FOLDER / CONFIG).is_file():
            raise UserError(
                "no-such-captioner", f"The built-in captioner is missing from {MICRO_FOLDER}.", "Install it again."
            )
        return Captioner("blip", MICRO_FOLDER, MICRO)
    path = existing_path(name, folder)
    if path is None and is_hub_name(name):
        path = cached_folder(name, CONFIG, ONNX)
        if path is None:
            raise not_downloaded(name)
    if path is None or not path.is_dir():
        raise UserError(
            "no-such-captioner",
            f"The captioner {name} is no folder here and no name on Hugging Face.",
            "Give a folder that holds a config.json, or a name such as Salesforce/blip-image-captioning-large.",
        )
    return Captioner(kind_of(path, name), path, name)


def refuse_without_onnx() -> None:
    """Raises UserError `needs-onnx` where the library that taggers need is missing."""
    if not is_installed("onnxruntime"):
        raise needs_onnx()


def needs_onnx() -> UserError:
    """The refusal of a tagger where the library that runs it is missing."""
    missing = "Taggers need ONNX runtime, which is not installed."
    return UserError("needs-onnx", missing, 'Run: pip install "lora-tui[tagger]"')


def not_downloaded(name: str) -> UserError:
    """The refusal of a captioner that is not here, with what it weighs and how it comes."""
    weighs = size_of(name)
    about = f" It has about {weighs}." if weighs else ""
    return UserError(
        "not-downloaded",
        f"The captioner {name} is not on this machine yet.{about}",
        f"To download it: {download_command(name)}",
    )


def size_of(name: str) -> str:
    """What a captioner that is downloaded weighs, in words; "" where that is not known here."""
    found = next((known for known in KNOWN.values() if known.hub == name), None)
    if found is None:
        return ""
    return f"{found.bytes / 1e9:.1f} GB" if found.bytes >= 1e9 else f"{found.bytes / 1e6:.0f} MB"


def kind_of(folder: Path, name: str = "") -> Kind:
    """What kind of captioner lies in a folder. Raises UserError `incomplete`, `no-such-captioner`, `needs-own-code`."""
    name = name or str(folder)
    if (folder / TAGS).is_file():
        if not (folder / ONNX).is_file():
            raise _incomplete(name, ONNX)
        return "tagger"
    config = _config(folder, name)
    kind = _MODEL_TYPES.get(str(config.get("model_type", "")), "any")
    if kind == "florence2" and config.get("auto_map"):  # others may be known to transformers by now all the same
        raise needs_own_code(name, str(config.get("model_type", "")))
    if not any((folder / weights).exists() for weights in _WEIGHTS):
        raise _incomplete(name, _WEIGHTS[0])
    index = folder / _WEIGHTS[1]
    if index.is_file() and not (folder / _WEIGHTS[0]).is_file():
        for shard in shards(index, name):
            if not (folder / shard).is_file():
                raise _incomplete(name, shard)
    return kind


def shards(index: Path, name: str) -> list[str]:
    """The files that an index of weights names, each once. Raises UserError `damaged`."""
    try:
        found = json.loads(index.read_bytes())["weight_map"].values()
        files = list(dict.fromkeys(str(file) for file in found))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        files = []
    if not files or any("/" in file or "\\" in file or file.startswith(".") for file in files):
        raise UserError("damaged", f"{index.name} of {name} is damaged.", "Download it again.")
    return files


def needs_own_code(name: str, model_type: str) -> UserError:
    """The refusal of a model that comes with program code of its own, which is never run here."""
    hint = "Choose one that transformers knows itself."
    if model_type == "florence2":
        hint = f"The same model without it: {KNOWN[FLORENCE].hub}, or florence-community/Florence-2-large."
    return UserError(
        "needs-own-code", f"The captioner {name} needs program code that came with it, which is not run here.", hint
    )


def _config(folder: Path, name: str) -> dict[str, object]:
    try:
        found = json.loads((folder / CONFIG).read_bytes())
    except (OSError, ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise UserError(
            "no-such-captioner",
            f"{name} is no captioner: it holds no {CONFIG} that can be read.",
            "Choose the folder of a transformers model, or of a tagger with model.onnx and selected_tags.csv.",
        )
    return found


def _incomplete(name: str, file: str) -> UserError:
    hint = f"Download it again: {download_command(name)}" if is_hub_name(name) else "Put the missing file there."
    return UserError("incomplete", f"The captioner {name} is not whole: {file} is missing.", hint)


def _is_practice(base_model: str, folder: Path | None) -> bool:
    if base_model == BUILT_IN:
        return True
    try:
        return bool(base_model) and recognise(base_model, folder).size == "micro"
    except UserError:
        return False
