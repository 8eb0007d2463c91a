"""Small projects made of generated pictures."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from engine.plan.project import Project

Sizes = list[tuple[int, int]]
MakeFolder = Callable[..., Path]


@pytest.fixture
def pictures_in() -> MakeFolder:
    """Fill a folder with plain pictures: `pictures_in(folder, [(64, 64), (64, 48)], caption="ohwx man")`."""

    def make(folder: Path, sizes: Sizes, caption: str | None = None, ending: str = ".png") -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for number, size in enumerate(sizes):
            Image.new("RGB", size, (number % 256, 80, 120)).save(folder / f"{number:03}{ending}")
            if caption is not None:
                (folder / f"{number:03}.txt").write_text(caption, encoding="utf-8")
        return folder

    return make


@pytest.fixture
def project(tmp_path: Path, pictures_in: MakeFolder) -> Project:
    """Three captioned pictures of 64 × 64 in img/10_ohwx man, without a project.toml."""
    pictures_in(tmp_path / "face" / "img" / "10_ohwx man", [(64, 64)] * 3, caption="ohwx, a photo of a man")
    return Project.open(tmp_path / "face")


Tensors = dict[str, tuple[str, tuple[int, ...]]]


def write_safetensors(path: Path, tensors: Tensors, *, missing_bytes: int = 0) -> Path:
    """A safetensors file of zeros, with a hole on disk instead of gigabytes; `missing_bytes` are cut off its end."""
    bits = {"F32": 32, "F16": 16, "F8_E4M3": 8}
    header, offset = {}, 0
    for name, (dtype, shape) in tensors.items():
        size = math.prod(shape) * bits[dtype] // 8
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
    data = json.dumps(header).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as file:
        file.write(len(data).to_bytes(8, "little") + data)
        file.truncate(8 + len(data) + offset - missing_bytes)
    return path


@pytest.fixture
def sdxl_folder(tmp_path: Path) -> Path:
    """What recognition looks at in a diffusers folder of full-size SDXL; the weights are a few zeros."""
    folder = tmp_path / "sdxl"
    configs = {
        "model_index.json": {"_class_name": "StableDiffusionXLPipeline"},
        "unet/config.json": {
            "in_channels": 4, "block_out_channels": [320, 640, 1280], "transformer_layers_per_block": [1, 2, 10]
        },
        "scheduler/scheduler_config.json": {"_class_name": "EulerDiscreteScheduler", "prediction_type": "epsilon"},
    }  # fmt: skip
    for name, config in configs.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(config), encoding="utf-8")
    for part in ("unet", "vae"):
        write_safetensors(folder / part / "diffusion_pytorch_model.safetensors", {"weight": ("F16", (2, 2))})
    for part in ("text_encoder", "text_encoder_2"):
        write_safetensors(folder / part / "model.safetensors", {"weight": ("F16", (2, 2))})
    return folder


@pytest.fixture
def safetensors_file() -> Callable[..., Path]:
    """`write_safetensors` for tests: with importlib imports, tests cannot import from each other."""
    return write_safetensors
