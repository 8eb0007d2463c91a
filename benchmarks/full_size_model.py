"""A full-size SDXL checkpoint with random weights, one fp16 file in Stability's layout, written tensor by tensor.

    python -m benchmarks.full_size_model [--dir FOLDER]

It teaches nothing and draws noise; it has the names, shapes and size of a published checkpoint, so that loading,
memory and time are those of a real one. Names and shapes come from the published configs by way of
`engine.models.single_file` on the meta device; that diffusers' own reader takes every one of them is what loading the
file shows. 2,514 tensors and 6,938,040,400 bytes is what another maker of such a file came to.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from platformdirs import user_cache_path
from torch import Tensor

from engine.models.checkpoint import PARTS, configs_of
from engine.models.single_file import POSITION_IDS, PREFIXES, layout_of_parts
from engine.plan.base_model import recognise

NAME = "random-sdxl-fp16.safetensors"
LOGIT_SCALE = PREFIXES["text_encoder_2"] + "logit_scale"
"""OpenCLIP's own; published files have it, and nothing that draws pictures reads it."""


def layout() -> dict[str, Tensor]:
    """Every tensor of the file on the meta device, under its name there."""
    parts, levels, layers = {}, 0, 0
    configs = configs_of("sdxl")
    for part, kind in PARTS.items():
        config = json.loads((configs / part / "config.json").read_text(encoding="utf-8"))
        with torch.device("meta"):
            module = (
                kind.from_config(config) if hasattr(kind, "from_config") else kind(kind.config_class.from_dict(config))
            )
        parts[part] = {name: w for name, w in module.state_dict().items() if not name.endswith(POSITION_IDS)}
        levels = len(config["block_out_channels"]) if part == "vae" else levels
        layers = config["layers_per_block"] if part == "unet" else layers
    named = layout_of_parts(parts, layers, levels)
    return {**named, LOGIT_SCALE: torch.empty((), device="meta")}


def values(name: str, shape: torch.Size, generator: torch.Generator) -> Tensor:
    """fp16 weights as PyTorch starts them: uniform in ±1/sqrt(inputs), so that a signal neither grows without bound nor
    vanishes; norms 1, biases 0, embeddings normal with 0.02.
    """
    if name == LOGIT_SCALE:
        return torch.tensor(4.6052, dtype=torch.float16)
    if "embedding" in name:
        return torch.empty(shape).normal_(0, 0.02, generator=generator).half()
    if len(shape) < 2:
        return (torch.zeros if name.endswith("bias") else torch.ones)(shape, dtype=torch.float16)
    bound = 1 / math.sqrt(math.prod(shape[1:]))
    return torch.empty(shape).uniform_(-bound, bound, generator=generator).half()


def write(path: Path, seed: int = 0) -> None:
    """The file at `path`, whole or not at all; one tensor at a time is in memory."""
    tensors = dict(sorted(layout().items()))
    table: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, tensor in tensors.items():
        start, end = end, end + 2 * tensor.numel()
        table[name] = {"dtype": "F16", "shape": list(tensor.shape), "data_offsets": [start, end]}
    header = json.dumps(table, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(beside, "wb") as file:
            file.write(len(header).to_bytes(8, "little") + header)
            for data in _data(tensors, seed):
                file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _data(tensors: dict[str, Tensor], seed: int) -> Iterator[memoryview]:
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in tensors.items():
        yield memoryview(values(name, tensor.shape, generator).reshape(-1).view(torch.uint8).numpy())


def default_folder() -> Path:
    return user_cache_path("lora-tui") / "benchmarks"


def full_size_model(folder: Path) -> Path:
    """The file in `folder`, made if it is not there."""
    path = folder / NAME
    if not path.is_file():
        began = time.monotonic()
        write(path)
        print(f"made {path} in {time.monotonic() - began:.0f} s")
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dir", type=Path, default=default_folder(), help="where the file lies (6.9 GB)")
    path = full_size_model(parser.parse_args().dir)
    base = recognise(path)
    print(f"{path}: {path.stat().st_size:,} bytes, {len(layout()):,} tensors, recognised as {base.kind} {base.size}")


if __name__ == "__main__":
    main()
