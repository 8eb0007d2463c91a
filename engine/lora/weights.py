"""LoRA files as sd-scripts writes them: `<stem>.lora_down.weight`, `<stem>.lora_up.weight`, `<stem>.alpha`.

Read by A1111, Forge, ComfyUI, sd-scripts and diffusers. A file without `alpha` loads everywhere at the wrong strength,
so it is always written. Only safetensors are read or written.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from engine.lora.attach import Shape
from engine.lora.network import LoraNetwork
from engine.plan.errors import UserError, inert
from engine.plan.files import atomic_write

DTYPES = {"float": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class LoraFile:
    """A LoRA file's content: tensors by name, and its metadata (all text)."""

    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def stems(self) -> list[str]:
        end = ".lora_down.weight"
        return sorted(name.removesuffix(end) for name in self.tensors if name.endswith(end))


def state_dict(network: LoraNetwork, precision: str) -> dict[str, Tensor]:
    """The network's tensors under their file names, on the CPU, in `precision` (float, fp16 or bf16)."""
    dtype = DTYPES[precision]
    tensors: dict[str, Tensor] = {}
    for module in sorted(network.modules, key=lambda m: m.stem):
        tensors[f"{module.stem}.lora_down.weight"] = module.down.detach().to("cpu", dtype, copy=True).contiguous()
        tensors[f"{module.stem}.lora_up.weight"] = module.up.detach().to("cpu", dtype, copy=True).contiguous()
        tensors[f"{module.stem}.alpha"] = torch.tensor(module.alpha, dtype=dtype)
    return tensors


def with_hashes(tensors: dict[str, Tensor], metadata: Mapping[str, str]) -> bytes:
    """The file's bytes, with the two hashes that A1111 looks for added to `metadata`.

    `sshs_model_hash` is over everything after the header, `sshs_legacy_hash` over 64 KiB from 1 MiB on in a file that
    has only the `ss_*` metadata (sd-scripts: `train_util.precalculate_safetensors_hashes`).
    """
    training_only = save(tensors, metadata={k: v for k, v in metadata.items() if k.startswith("ss_")})
    (header_length,) = struct.unpack("<Q", training_only[:8])
    hashes = {
        "sshs_model_hash": hashlib.sha256(memoryview(training_only)[8 + header_length :]).hexdigest(),
        "sshs_legacy_hash": hashlib.sha256(training_only[0x100000:0x110000]).hexdigest()[:8],
    }
    return save(tensors, metadata={**metadata, **hashes})


def kept_metadata(file: LoraFile) -> dict[str, str]:
    """What still holds where a file's layers are written anew: not its hashes, nor what PEFT says of its layers."""
    gone = ("sshs_", "modelspec.hash_sha256", "lora_adapter_metadata")
    return {key: value for key, value in file.metadata.items() if not key.startswith(gone)}


def in_order(content: bytes) -> bytes:
    """The bytes of a safetensors file with its metadata sorted; the library writes them in another order each time."""
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    header["__metadata__"] = dict(sorted(header.get("__metadata__", {}).items()))
    sorted_header = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    sorted_header += b" " * (-len(sorted_header) % 8)  # tensors begin at a multiple of 8
    return struct.pack("<Q", len(sorted_header)) + sorted_header + content[8 + length :]


def write(path: Path, tensors: dict[str, Tensor], metadata: Mapping[str, str]) -> int:
    """Write a LoRA file atomically; returns its size in bytes."""
    content = with_hashes(tensors, metadata)
    atomic_write(path, content)
    return len(content)


def read(path: Path) -> LoraFile:
    """Read a LoRA file. Raises UserError when it is missing, truncated or no safetensors file."""
    shown = inert(path)
    if not path.is_file():
        raise UserError("not-found", f"There is no file {shown}.", "Give the path of a .safetensors LoRA.")
    try:
        with safe_open(path, framework="pt") as file:
            return LoraFile({name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {})  # noqa: SIM118
    except (SafetensorError, OSError, json.JSONDecodeError) as error:
        raise UserError(
            "unreadable-lora",
            f"{shown} is not a whole safetensors file ({inert(error)}).",
            "Copy or download it again; .ckpt and .pt files are not read.",
        ) from error


@torch.no_grad()
def load_into(network: LoraNetwork, file: LoraFile) -> None:
    """Put a file's values into `network`, which must have the same modules and rank. Raises UserError otherwise."""
    stems = {m.stem for m in network.modules}
    if set(file.stems) != stems:
        missing, extra = len(stems - set(file.stems)), len(set(file.stems) - stems)
        raise UserError(
            "lora-does-not-fit",
            f"This LoRA does not fit this base model: {missing} of its layers are missing and {extra} are unknown.",
            "Use it with the base model it was trained on.",
        )
    for module in network.modules:
        for part, own in (("down", module.down), ("up", module.up)):
            given = file.tensors.get(f"{module.stem}.lora_{part}.weight")
            if given is None or given.shape != own.shape:
                shape = "missing" if given is None else tuple(given.shape)
                raise UserError(
                    "lora-does-not-fit",
                    f"In this LoRA {module.stem}.lora_{part} is {shape}, the base model needs {tuple(own.shape)}.",
                    "Use it with the base model it was trained on.",
                )
    for module in network.modules:
        alpha = file.tensors.get(f"{module.stem}.alpha")
        module.down.copy_(file.tensors[f"{module.stem}.lora_down.weight"])
        # the file's own strength may differ from the network's: carry it over in the ups
        file_scale = float(alpha) / module.rank if alpha is not None else 1.0
        module.up.copy_(file.tensors[f"{module.stem}.lora_up.weight"].float() * (file_scale / module.scale))


def shape_of(file: LoraFile) -> Shape:
    """The shape to attach so that the file's values fit: of each of its layers the rank and alpha, of others none.

    A layer without (sensible) alpha counts fully, as other programs take it.
    """
    sizes = {}
    for stem in file.stems:
        down, alpha = file.tensors[f"{stem}.lora_down.weight"], file.tensors.get(f"{stem}.alpha")
        if down.ndim:
            rank = int(down.shape[0])
            strength = float(alpha) if alpha is not None and alpha.numel() == 1 else math.nan
            sizes[stem] = (rank, strength if math.isfinite(strength) and strength else float(rank))
    return lambda target: sizes.get(target.stem)


def rank_of(file: LoraFile) -> int:
    """The rank of a file's modules (the largest one, where they differ). Raises UserError where it has none."""
    downs = [file.tensors[f"{stem}.lora_down.weight"] for stem in file.stems]
    ranks = [down.shape[0] for down in downs if down.ndim]
    if not ranks:
        raise UserError(
            "not-a-lora",
            "The file holds no LoRA layers that are named as sd-scripts and the programs for pictures name them.",
            "lora-tui inspect says what is in it.",
        )
    return max(ranks)


def alpha_of(file: LoraFile) -> float | None:
    """The alpha of a file's modules, None where the file has none."""
    tensors = [file.tensors[f"{stem}.alpha"] for stem in file.stems if f"{stem}.alpha" in file.tensors]
    alphas = [float(alpha) for alpha in tensors if alpha.numel() == 1]
    return max((alpha for alpha in alphas if math.isfinite(alpha)), default=None)
