"""Any recognised source of an SDXL base model -> one `SDXL`: offline, quietly, and with one clear sentence on failure.

What a source is (folder, single file, how large, whether it is SDXL at all) was told by `engine.plan.base_model`.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import diffusers.utils.logging as diffusers_logging
import torch
import transformers.utils.logging as transformers_logging
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors import SafetensorError
from torch import nn
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from engine.models.attention import use_sdxl_attention
from engine.models.base_weights import store
from engine.models.pickle_file import pickle_weights, unpickled
from engine.models.sdxl import SDXL, identity
from engine.models.single_file import load_part
from engine.models.tokenizer import clip_tokenizer, tokenizer_from
from engine.models.vae_file import load_vae
from engine.plan.errors import UserError, few

if TYPE_CHECKING:
    from engine.plan.base_model import BaseModel
    from engine.plan.options.training import Attention, BaseWeights
    from engine.plan.vae import VaeFile

PARTS: dict[str, type[Any]] = {
    "unet": UNet2DConditionModel,
    "vae": AutoencoderKL,
    "text_encoder": CLIPTextModel,
    "text_encoder_2": CLIPTextModelWithProjection,
}
CLIP_VOCABULARY = 49_408
DOWNLOAD_AGAIN = "Copy or download the model again, all of it."


def load(
    base: BaseModel,
    *,
    dtype: torch.dtype = torch.float32,
    vae: VaeFile | None = None,
    weights: BaseWeights = "full",
    attention: Attention = "sdpa",
) -> SDXL:
    """The base model on the CPU, U-Net and text encoders in `dtype`, its VAE (or `vae` in place of it) in fp32.

    `weights`: how those of the U-Net are kept. `attention`: what calculates the U-Net's.
    """
    if base.kind == "pickle":
        tensors = pickle_weights(base.path)
        base = unpickled(base, tensors)  # only now is it known what it is
        model = load_single_file(base.path, configs_of(base.size), base, dtype=dtype, weights=tensors)
    elif base.kind == "single-file":
        model = load_single_file(base.path, configs_of(base.size), base, dtype=dtype)
    else:
        model = load_folder(base.path, base, dtype=dtype)
    if vae is not None:
        with quiet(), _one_sentence(f"VAE {vae.path}"):
            configs = configs_of(base.size) if base.path.is_file() else base.path
            model.vae = load_vae(vae, configs).requires_grad_(False).eval().to(memory_format=torch.channels_last)
        model.vae_identity = identity(model.vae)
    use_sdxl_attention(model.unet, attention)
    store(model.unet, weights)
    if base.kind != "pickle":  # which is read as a whole or not at all
        model.text_encoders_again = partial(text_encoders, base, dtype, model.text_identity)
    return model


def text_encoders(
    base: BaseModel, dtype: torch.dtype, known_as: str
) -> tuple[CLIPTextModel, CLIPTextModelWithProjection]:
    """Both text encoders once more, on the CPU, of a model that was loaded already and whose `text_identity` is
    `known_as`. Raises UserError where its files are not the same any more.
    """
    with quiet():
        configs = configs_of(base.size) if base.path.is_file() else base.path
        first, second = (
            _file_part(base.path, part, configs, dtype)
            if base.path.is_file()
            else _folder_part(base.path, part, PARTS[part], dtype)
            for part in ("text_encoder", "text_encoder_2")
        )
        for encoder in (first, second):
            encoder.requires_grad_(False).eval()
        if text_identity(first, second, _tokenizer(configs, first.config.vocab_size)) != known_as:
            raise UserError(
                "base-model-changed",
                f"The base model {base.path} is not the one any more that was loaded from there.",
                "Put the old file back.",
            )
    return first, second


def configs_of(size: str) -> Path:
    """Where the configs for a single file of this size are: a single file holds weights and nothing else."""
    engine = Path(str(files("engine")))
    return engine / "demo" / "micro" if size == "micro" else engine / "models" / "sdxl_files"


def load_folder(folder: Path, base: BaseModel, *, dtype: torch.dtype = torch.float32) -> SDXL:
    """A diffusers folder: `unet`, `vae`, `text_encoder`, `text_encoder_2`, `tokenizer`, `scheduler`."""
    with quiet():
        modules = {part: _folder_part(folder, part, kind, dtype) for part, kind in PARTS.items()}
        return _assembled(modules, folder, folder, base)


def load_single_file(
    path: Path,
    configs: Path,
    base: BaseModel,
    *,
    dtype: torch.dtype = torch.float32,
    weights: Mapping[str, torch.Tensor] | None = None,
) -> SDXL:
    """A file in Stability's layout. `configs`: a folder with the parts' configs, as diffusers writes it. `weights`: the
    file's tensors where it is no safetensors file.
    """
    with quiet():
        modules = {part: _file_part(path, part, configs, dtype, weights) for part in PARTS}
        return _assembled(modules, path, configs, base)


def _file_part(
    path: Path,
    part: str,
    configs: Path,
    dtype: torch.dtype,
    weights: Mapping[str, torch.Tensor] | None = None,
) -> Any:
    with _one_sentence(f"{part} of {path}"):
        try:
            module = load_part(weights or path, path, part, PARTS[part], configs, _precision(part, dtype))
        except NotImplementedError as error:
            raise _lacking(part, path) from error
    if missing := [name for name, weight in module.state_dict().items() if weight.is_meta]:
        raise _lacking(part, path, missing)
    return module


def _folder_part(folder: Path, part: str, kind: type[Any], dtype: torch.dtype) -> Any:
    source = folder / part
    if not (source / "config.json").is_file():
        raise UserError("incomplete", f"The base model {folder} has no {part}/config.json.", DOWNLOAD_AGAIN)
    weights = [path.name for path in source.glob("*.safetensors")]
    if not weights:
        raise UserError(
            "incomplete",
            f"The base model {folder} has no safetensors weights in {part}.",
            "Pickled weights (.bin) are not opened, because they can run programs: take the safetensors version.",
        )
    # Folders that hold only half precision name their files unet/diffusion_pytorch_model.fp16.safetensors.
    variant = "fp16" if all(".fp16" in name for name in weights) else None
    with _one_sentence(f"{part} of {folder}"):
        module, report = kind.from_pretrained(
            source,
            dtype=_precision(part, dtype),  # always said: without it transformers follows the config
            variant=variant,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
        )
    if missing := sorted(report["missing_keys"]):
        raise _lacking(part, folder, missing)
    return module


def _assembled(modules: dict[str, Any], source: Path, configs: Path, base: BaseModel) -> SDXL:
    """The bundle of loaded modules; `configs` holds what is not weights."""
    for module in modules.values():
        module.requires_grad_(False).eval()
    unet, vae, first, second = (modules[part] for part in PARTS)
    for module in (
        unet,
        vae,
    ):  # convolutions are faster this way on processors (measured) and tensor cores (documented)
        module.to(memory_format=torch.channels_last)
    with _one_sentence(f"tokenizer of {source}"):
        tokenizer = _tokenizer(configs, first.config.vocab_size)
    with _one_sentence(f"scheduler of {source}"):
        scheduler = scheduler_config(configs, base)
    return SDXL(
        unet=unet,
        vae=vae,
        text_encoder=first,
        text_encoder_2=second,
        tokenizer=tokenizer,
        scheduler_config=scheduler,
        size=base.size,
        bucket_reso_steps=base.bucket_reso_steps,
        vae_identity=identity(vae),
        text_identity=text_identity(first, second, tokenizer),
    )


def text_identity(first: nn.Module, second: nn.Module, tokenizer: CLIPTokenizer) -> str:
    """Of all that turns a text into numbers."""
    return identity(first, second, also=json.dumps(tokenizer.get_vocab(), sort_keys=True))


def scheduler_config(configs: Path, base: BaseModel) -> dict[str, Any]:
    """How samplers walk from noise to picture, with the base model's prediction type.

    A zero-terminal-SNR model must be started at the last timestep, which holds no picture, and which only "trailing"
    includes (Lin et al. 2023, section 3.3).
    """
    config = json.loads((configs / "scheduler" / "scheduler_config.json").read_text(encoding="utf-8"))
    config |= {"prediction_type": base.prediction_type, "rescale_betas_zero_snr": base.zero_terminal_snr}
    return config | ({"timestep_spacing": "trailing"} if base.zero_terminal_snr else {})


def _tokenizer(configs: Path, vocabulary_size: int) -> CLIPTokenizer:
    """The folder's own vocabulary, or CLIP's where it has none; one that does not fit the encoders is refused."""
    tokenizer = tokenizer_from(configs / "tokenizer")
    if tokenizer is None and vocabulary_size == CLIP_VOCABULARY:
        tokenizer = clip_tokenizer()
    if tokenizer is None:
        raise UserError("incomplete", f"The base model {configs} has no tokenizer.", DOWNLOAD_AGAIN)
    if len(tokenizer) != vocabulary_size:
        raise UserError(
            "tokenizer-mismatch",
            f"The tokenizer of {configs} has {len(tokenizer)} tokens, its text encoder {vocabulary_size}.",
            DOWNLOAD_AGAIN,
        )
    return tokenizer


def _precision(part: str, dtype: torch.dtype) -> torch.dtype:
    return torch.float32 if part == "vae" else dtype


def _lacking(part: str, source: Path, names: Sequence[str] = ()) -> UserError:
    """diffusers and transformers fill what is missing with random numbers; that model would be rubbish."""
    which = f": {few(names)}" if names else ""
    return UserError("incomplete", f"The base model {source} lacks weights of its {part}{which}.", DOWNLOAD_AGAIN)


@contextmanager
def _one_sentence(what: str) -> Iterator[None]:
    """Whatever the libraries raise while reading a model becomes one sentence; the rest stands in the engine's log."""
    try:
        yield
    except UserError:
        raise
    except MemoryError as error:
        raise UserError("out-of-memory", f"There is not enough memory to load the {what}.") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, SafetensorError) as error:
        if "can't allocate memory" in str(error):
            raise UserError("out-of-memory", f"There is not enough memory to load the {what}.") from error
        if shapes := _OTHER_SHAPE.search(str(error)):
            name, expected, found = (part.replace("torch.Size", "").strip("()") for part in shapes.groups())
            message = f"The {what} does not fit: {name} has the shape {found}, and {expected} is needed."
            raise UserError("damaged", message, "Use one that was made for SDXL.") from error
        raise UserError("damaged", f"The {what} cannot be loaded: {_reason(error)}", DOWNLOAD_AGAIN) from error


_OTHER_SHAPE = re.compile(r"(\S+) expected shape (\S+?\[[^]]*\]\)?),? but got (\S*?\[[^]]*\]\)?)")
"""diffusers' `load_model_dict_into_meta`."""


def _reason(error: Exception) -> str:
    """What a library says, as a sentence: its first one, or which name it looked for in vain."""
    if isinstance(error, KeyError):
        return f"it lacks {error.args[0] if error.args else 'a name'}."
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    first = " ".join(lines[:2]) if lines[0].endswith(":") else lines[0]
    return f"{first.partition('. ')[0][:200].rstrip('.')}."


@contextmanager
def quiet() -> Iterator[None]:
    """No progress bars, reports or warnings of diffusers and transformers: they would be painted over the app."""
    libraries = (diffusers_logging, transformers_logging)
    levels = [library.get_verbosity() for library in libraries]
    bars = [library.is_progress_bar_enabled() for library in libraries]
    for library in libraries:
        library.set_verbosity(library.CRITICAL)
        library.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for library, level, bar in zip(libraries, levels, bars, strict=True):
            library.set_verbosity(level)
            if bar:
                library.enable_progress_bar()
