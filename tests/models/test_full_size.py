"""A single file of real size, 7 GB of arbitrary weights, through the loader. About two minutes and 10 GB of memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors import safe_open
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from engine.models.checkpoint import configs_of, load
from engine.models.single_file import PREFIXES, layout_of_parts
from engine.plan.base_model import recognise

pytestmark = pytest.mark.proof


def empty_modules() -> dict[str, torch.nn.Module]:
    configs = configs_of("sdxl")

    def config(part: str) -> dict:
        return json.loads((configs / part / "config.json").read_text(encoding="utf-8"))

    with torch.device("meta"):
        return {
            "unet": UNet2DConditionModel.from_config(config("unet")),
            "vae": AutoencoderKL.from_config(config("vae")),
            "text_encoder": CLIPTextModel(CLIPTextConfig(**config("text_encoder"))),
            "text_encoder_2": CLIPTextModelWithProjection(CLIPTextConfig(**config("text_encoder_2"))),
        }


def layout(modules: dict[str, torch.nn.Module]) -> dict[str, Tensor]:
    return layout_of_parts({part: module.state_dict() for part, module in modules.items()}, 2, 4)


def arbitrary(shapes: dict[str, torch.Size]) -> Iterator[Tensor]:
    """fp16 tensors that differ from each other, far quicker than random numbers."""
    torch.manual_seed(0)
    pattern = torch.randn(1_048_583).half()
    for number, shape in enumerate(shapes.values()):
        size = shape.numel()
        start = number * 7919 % len(pattern)
        yield pattern.roll(start).repeat(size // len(pattern) + 1)[:size].view(shape)


def write_streaming(path: Path, shapes: dict[str, torch.Size]) -> None:
    """safetensors writes from tensors that are all in memory; this writes one after the other."""
    header, position = {}, 0
    for name, shape in shapes.items():
        header[name] = {"dtype": "F16", "shape": list(shape), "data_offsets": [position, position + 2 * shape.numel()]}
        position += 2 * shape.numel()
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for tensor in arbitrary(shapes):
            file.write(memoryview(tensor.contiguous().view(-1).view(torch.uint8).numpy()))


def test_full_size_single_file_loads_bit_for_bit(tmp_path: Path):
    shapes = {name: tensor.shape for name, tensor in layout(empty_modules()).items()}
    path = tmp_path / "sdxl.safetensors"
    write_streaming(path, shapes)
    try:
        model = load(recognise(path), dtype=torch.float16)
        assert (model.size, model.bucket_reso_steps) == ("sdxl", 32)
        loaded = layout({part: getattr(model, part) for part in PREFIXES})
        with safe_open(path, framework="pt") as file:
            assert set(loaded) == set(file.keys())
            for name, tensor in loaded.items():
                assert torch.equal(tensor.half(), file.get_tensor(name)), name
        assert model.tokenizer("a photo of a cat").input_ids == [49406, 320, 1125, 539, 320, 2368, 49407]
        context, pooled = model.encode_text(["a photo of a cat"])
        assert (context.shape, pooled.shape) == ((1, 77, 2048), (1, 1280))
    finally:
        path.unlink()
