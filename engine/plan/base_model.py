"""Which base model a path means, and whether a LoRA can be trained on it, without loading it.

Only headers and configuration files are read, in pure Python, so that a wrong file is refused at once and in words.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from engine.plan import checkpoint_kind
from engine.plan.checkpoint_kind import MICRO_CHANNELS, SDXL_CHANNELS, not_sdxl
from engine.plan.errors import UserError
from engine.plan.files import existing_path, reading_errors
from engine.plan.hub_cache import cached_model
from engine.plan.safetensors_header import is_pickle, pickle_refused, read_header
from engine.plan.sources import download_command, is_source

Size = Literal["sdxl", "micro"]
PredictionType = Literal["epsilon", "v_prediction"]
"""diffusers' names: the model predicts the noise, or the velocity."""

BUILT_IN = "micro"
"""The name of the practice model that comes with the program."""

BUCKET_STEP: dict[Size, int] = {"sdxl": 32, "micro": 16}
"""Sides of pictures must be multiples of this: 8 for the VAE times the U-Net's own halvings."""

_BUILT_IN_FOLDER = Path(__file__).resolve().parent.parent / "demo" / "micro"
_PICKLES = frozenset({".ckpt", ".pt", ".pth", ".bin", ".pkl"})
_COMPONENTS = {"unet": "diffusion_pytorch_model", "vae": "diffusion_pytorch_model"} | dict.fromkeys(
    ("text_encoder", "text_encoder_2"), "model"
)


@dataclass(frozen=True)
class BaseModel:
    """A base model that can be trained.

    kind "pickle": a .ckpt or .pt file, which nobody looks into before the engine loads it without running anything in
    it; until then it is taken for an ordinary SDXL model.
    path: absolute, a file or a diffusers folder. bucket_reso_steps: pixels; the setting must be a
    multiple of it. bucket_shapes: (width, height) of the pictures the model was trained on, where it declares them
    (lora_tui.json). variant: "fp16" where a diffusers folder has its weights only in files named so, else "".
    prediction_type, zero_terminal_snr: as the model's own marks say. notes: sentences for people.
    """

    kind: Literal["diffusers-folder", "single-file", "pickle", "built-in"]
    path: Path
    size: Size
    prediction_type: PredictionType
    bucket_reso_steps: int
    notes: tuple[str, ...] = ()
    variant: str = ""
    bucket_shapes: tuple[tuple[int, int], ...] = ()
    zero_terminal_snr: bool = False

    @property
    def prediction_in_words(self) -> str:
        """What sets it apart from ordinary SDXL, or ""."""
        if self.prediction_type == "epsilon":
            return ""
        return "v-prediction and zero-terminal SNR" if self.zero_terminal_snr else "v-prediction"


def recognise(name: str | Path, folder: Path | None = None) -> BaseModel:
    """What `pretrained_model_name_or_path` means: a file, a folder, a name on Hugging Face that was downloaded, or
    "micro".

    folder: where a relative path is looked for first (the project), before the current folder.
    Raises UserError: `no-base-model`, `not-found`, `not-downloaded`, `not-sdxl`, `truncated`, `damaged`, `incomplete`,
    `is-a-lora`, `is-a-pickle`, `not-safetensors`, `edm-unsupported`, `not-readable`.
    """
    text = str(name).strip()
    if not text:
        raise UserError(
            "no-base-model",
            "No base model is chosen.",
            "Set pretrained_model_name_or_path to an SDXL .safetensors file, a diffusers folder, or micro.",
        )
    if text == BUILT_IN:
        if not (_BUILT_IN_FOLDER / "model_index.json").is_file():
            raise UserError(
                "not-found",
                f"The built-in practice model is missing from {_BUILT_IN_FOLDER}.",
                "Install the program again.",
            )
        return _diffusers_folder(_BUILT_IN_FOLDER, "built-in")
    path = _existing(text, folder)
    if path.is_dir():
        return _diffusers_folder(path, "diffusers-folder")
    if path.suffix.lower() in _PICKLES:
        return _pickle(path)
    return _single_file(path)


def _existing(text: str, folder: Path | None) -> Path:
    if found := existing_path(text, folder) or cached_model(text):
        return found
    if is_source(text):
        raise UserError(
            "not-downloaded",
            f"The base model {text} is no path here, and was not downloaded.",
            f"To download it: {download_command(text)}",
        )
    raise UserError("not-found", f"The base model {text} does not exist.", "Check the spelling of the path.")


def _pickle(path: Path) -> BaseModel:
    if not path.is_file():
        raise UserError("not-found", f"The base model {path} is not a file.", "Choose a .safetensors file.")
    with reading_errors(path), open(path, "rb") as file:
        start = file.read(64)
    if not is_pickle(start):
        raise UserError(
            "damaged", f"{path} is not a whole {path.suffix.lower()} checkpoint.", "Download the model again."
        )
    note = (
        "This is a pickle file: only the training finds out what is in it, and refuses it if it holds more than "
        "weights. A .safetensors version can be checked beforehand."
    )
    return BaseModel("pickle", path, "sdxl", "epsilon", BUCKET_STEP["sdxl"], (note,))


def _single_file(path: Path) -> BaseModel:
    if not path.is_file():
        raise UserError("not-found", f"The base model {path} is not a file.", "Choose a .safetensors file.")
    tensors, _ = read_header(path)
    # Markers first: Playground 2.5 and CosXL have SDXL's layout and are better named by what they are.
    prediction, zero, notes = _prediction(*checkpoint_kind.velocity_marks(path, tensors))
    size: Size = "micro" if checkpoint_kind.size_of(path, tensors) == "micro" else "sdxl"
    if any(tensor.dtype.startswith("F8") for tensor in tensors.values()):
        notes += ("The model is stored in 8 bits: a 16-bit version gives a slightly better LoRA.",)
    return BaseModel("single-file", path, size, prediction, BUCKET_STEP[size], notes, zero_terminal_snr=zero)


def _prediction(velocity: bool, zero_terminal_snr: bool) -> tuple[PredictionType, bool, tuple[str, ...]]:
    """What a model's marks mean, with notes. As in ComfyUI the second one only counts beside the first."""
    if velocity:
        return "v_prediction", zero_terminal_snr, ()
    if zero_terminal_snr:
        note = "The model says zero-terminal SNR, but not v-prediction; it is trained as an ordinary SDXL model."
        return "epsilon", False, (note,)
    return "epsilon", False, ()


def _diffusers_folder(path: Path, kind: Literal["diffusers-folder", "built-in"]) -> BaseModel:
    if not (path / "model_index.json").is_file():
        files = sorted(path.glob("*.safetensors"))
        hint = f"Give the file itself: {files[0]}" if files else "Choose a .safetensors file or a diffusers folder."
        raise UserError("not-found", f"{path} is not a diffusers model: it has no model_index.json.", hint)
    pipeline = str(_json(path / "model_index.json").get("_class_name", ""))
    if "XL" not in pipeline:
        raise not_sdxl(path, f"Its model_index.json says {pipeline or 'nothing'}.")
    if "Inpaint" in pipeline:
        raise not_sdxl(path, "It is an inpainting model.")
    unet = _json(path / "unet" / "config.json")
    inputs, outputs = unet.get("in_channels", 4), _first(unet.get("block_out_channels"))
    if inputs != 4 or outputs not in (SDXL_CHANNELS, MICRO_CHANNELS):
        raise not_sdxl(path, f"Its U-Net has {inputs} to {outputs} channels.")
    depths = unet.get("transformer_layers_per_block")
    if outputs == SDXL_CHANNELS and depths != [1, 2, 10]:
        raise not_sdxl(path, f"Its U-Net has {depths} transformer layers per block instead of [1, 2, 10].")
    scheduler = _json(path / "scheduler" / "scheduler_config.json")
    if str(scheduler.get("_class_name", "")).startswith("EDM"):
        checkpoint_kind.velocity_marks(path, ("edm_mean",))
    prediction, zero, notes = _prediction(
        scheduler.get("prediction_type") == "v_prediction", scheduler.get("rescale_betas_zero_snr") is True
    )
    variants = {_check_weights(path, component, stem) for component, stem in _COMPONENTS.items()}
    size: Size = "micro" if outputs == MICRO_CHANNELS else "sdxl"
    own = _json(path / "lora_tui.json") if (path / "lora_tui.json").is_file() else {}
    step = own.get("bucket_reso_steps")
    return BaseModel(
        kind=kind,
        path=path,
        size=size,
        prediction_type=prediction,
        bucket_reso_steps=step if isinstance(step, int) and step > 0 else BUCKET_STEP[size],
        notes=notes,
        variant="fp16" if variants == {"fp16"} else "",
        bucket_shapes=_shapes(own.get("buckets")),
        zero_terminal_snr=zero,
    )


def _check_weights(path: Path, component: str, stem: str) -> str:
    """The variant ("" or "fp16") of a component's weights, which are all there. Raises UserError."""
    folder = path / component
    for variant in ("", "fp16"):
        name = f"{stem}.{variant}" if variant else stem
        if (folder / f"{name}.safetensors").is_file():
            read_header(folder / f"{name}.safetensors")
            return variant
        index = folder / (f"{stem}.safetensors.index.{variant}.json" if variant else f"{stem}.safetensors.index.json")
        if index.is_file():
            where = _json(index).get("weight_map")
            if not isinstance(where, dict) or not all(_is_file_name(part) for part in where.values()):
                raise UserError("damaged", f"{index} does not say which files there are.", "Download the model again.")
            for part in sorted(set(where.values())):
                read_header(folder / part)
            return variant
    if any(file.suffix in _PICKLES for file in folder.glob(f"{stem}*")):
        raise pickle_refused(folder)
    raise UserError("incomplete", f"{path} has no weights in its folder {component}.", "Download it again.")


def _is_file_name(part: object) -> bool:
    return isinstance(part, str) and Path(part).name == part and "\0" not in part


def _first(values: object) -> object:
    return values[0] if isinstance(values, list) and values else 0


def _shapes(values: object) -> tuple[tuple[int, int], ...]:
    """Pairs of whole numbers; what is none says nothing."""
    pairs = (
        [value for value in values if isinstance(value, list) and len(value) == 2] if isinstance(values, list) else []
    )
    return tuple((w, h) for w, h in pairs if type(w) is int and type(h) is int)


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise UserError("incomplete", f"{path} is missing.", "Download the model again.")
    with reading_errors(path):
        data = path.read_bytes()
    try:
        table = json.loads(data)
    except (ValueError, RecursionError):
        table = None
    if not isinstance(table, dict):
        raise UserError("damaged", f"{path} cannot be read as JSON.", "Download the model again.")
    return table
