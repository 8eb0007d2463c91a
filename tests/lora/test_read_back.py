"""A file that would not do what was trained is noticed when it is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import load_file, save_file

from engine.lora import weights
from engine.lora.attach import LoraShape, attach
from engine.lora.network import LoraNetwork
from engine.lora.read_back import what_differs
from tests.lora.test_network import predict, randomise

Change = Callable[[dict[str, torch.Tensor]], object]


@pytest.fixture
def network(unet: UNet2DConditionModel) -> LoraNetwork:
    network = attach({"unet": unet}, LoraShape(4, 2.0), seed=0)
    randomise(network, 0.1)
    return network


@pytest.mark.parametrize("precision", ["float", "fp16", "bf16"])
def test_a_good_file_is_good_and_the_network_stays_as_it_was(
    unet: UNet2DConditionModel, network: LoraNetwork, tmp_path: Path, precision: str
) -> None:
    path = tmp_path / "a.safetensors"
    weights.write(path, weights.state_dict(network, precision), {})
    before = [flat.clone() for flat in network.parameters]
    assert what_differs(path, network, lambda: predict(unet)) == ""
    assert all(torch.equal(flat, value) for flat, value in zip(network.parameters, before, strict=True))


def test_a_fresh_lora_without_any_effect_is_good(unet: UNet2DConditionModel, tmp_path: Path) -> None:
    network, path = attach({"unet": unet}, LoraShape(4, 2.0), seed=0), tmp_path / "a.safetensors"
    weights.write(path, weights.state_dict(network, "bf16"), {})
    assert what_differs(path, network, lambda: predict(unet)) == ""


def double(tensors: dict[str, torch.Tensor]) -> None:
    tensors |= {name: value * 2 for name, value in tensors.items() if name.endswith(".alpha")}


def swap(tensors: dict[str, torch.Tensor]) -> None:
    """The ups of some layers in each other's place."""
    first = [name for name in tensors if name.endswith("attn1_to_q.lora_up.weight")]
    other = [name.replace("to_q", "to_v") for name in first]
    for one, two in zip(first, other, strict=True):
        tensors[one], tensors[two] = tensors[two], tensors[one]


def drop(tensors: dict[str, torch.Tensor]) -> None:
    for name in [name for name in tensors if name.startswith(next(iter(tensors)).split(".")[0])]:
        del tensors[name]


@pytest.mark.parametrize(
    ("change", "said"),
    [(double, "is off by"), (swap, "is off by"), (drop, "holds 123 layers in place of 124")],
)
def test_a_file_that_does_something_else_is_noticed(
    unet: UNet2DConditionModel, network: LoraNetwork, tmp_path: Path, change: Change, said: str
) -> None:
    path = tmp_path / "a.safetensors"
    weights.write(path, weights.state_dict(network, "float"), {})
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)
    assert said in what_differs(path, network, lambda: predict(unet))
    path.write_bytes(path.read_bytes()[:5000])
    assert "cannot be read back" in what_differs(path, network, lambda: predict(unet))
