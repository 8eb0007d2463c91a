"""The U-Net with its weights in 8 and 4 bits: nearly the same numbers, a fraction of the memory, and a LoRA as ever."""

from __future__ import annotations

import copy
import json

import pytest
import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn

from engine.demo import architecture
from engine.lora.attach import LoraShape, attach
from engine.lora.targets import unet_targets
from engine.models import fp8
from engine.models.base_weights import store
from engine.models.checkpoint import configs_of, load
from engine.plan.base_model import recognise
from engine.plan.options.training import BaseWeights
from engine.train.parking import Parking
from tests.training import NF4

SMALL = ("fp8", NF4)


@pytest.fixture(scope="module")
def base() -> UNet2DConditionModel:
    """The practice model's, whose weights were trained: random ones say nothing about what rounding does."""
    return load(recognise("micro")).unet.train()


def unet_of(base: UNet2DConditionModel, how: BaseWeights, dtype: torch.dtype = torch.float32) -> UNet2DConditionModel:
    """As a training has it."""
    unet = copy.deepcopy(base).to(dtype)
    store(unet, how)
    return unet.to("cpu")


def random(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def predicted(unet: UNet2DConditionModel, latents: Tensor) -> Tensor:
    words = {"text_embeds": random(3, 2, 64).to(unet.dtype), "time_ids": torch.full((2, 6), 96.0)}
    context = random(2, 2, 77, architecture.CROSS_ATTENTION_DIM).to(unet.dtype)
    return unet(latents, torch.tensor([5, 500]), context, added_cond_kwargs=words).sample


def output_and_gradient(unet: UNet2DConditionModel) -> tuple[Tensor, Tensor]:
    latents = random(1, 2, 4, 12, 12).to(unet.dtype).requires_grad_(True)
    made = predicted(unet, latents)
    made.float().square().mean().backward()
    assert latents.grad is not None
    return made.detach().float(), latents.grad.float()


def off(one: Tensor, other: Tensor) -> float:
    return float((one - other).norm() / other.norm())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    ("how", "output", "gradient"), [("fp8", 0.04, 0.12), pytest.param("nf4", 0.06, 0.2, marks=NF4.marks)]
)
def test_output_and_gradient_are_nearly_those_of_the_full_weights(
    base: UNet2DConditionModel, how: BaseWeights, output: float, gradient: float, dtype: torch.dtype
) -> None:
    small, full = (output_and_gradient(unet_of(base, weights, dtype)) for weights in (how, "full"))
    assert 0.005 < off(small[0], full[0]) < output
    assert off(small[1], full[1]) < gradient


@pytest.mark.parametrize("how", SMALL)
def test_gradient_checkpointing_changes_nothing(base: UNet2DConditionModel, how: BaseWeights) -> None:
    unet = unet_of(base, how)
    plain = output_and_gradient(unet)
    unet.enable_gradient_checkpointing()
    assert all(torch.equal(a, b) for a, b in zip(plain, output_and_gradient(unet), strict=True))


@pytest.mark.parametrize("how", SMALL)
def test_a_picture_in_between_does_not_disturb_the_training(base: UNet2DConditionModel, how: BaseWeights) -> None:
    """bitsandbytes may pack weights anew to draw with them, and no gradient comes through those."""
    unet = unet_of(base, how)
    before = output_and_gradient(unet)
    with torch.no_grad():
        drawn = predicted(unet.eval(), random(1, 2, 4, 12, 12))
    assert torch.equal(drawn, before[0])
    assert all(torch.equal(a, b) for a, b in zip(before, output_and_gradient(unet.train()), strict=True))


def layers(unet: nn.Module) -> tuple[dict[str, nn.Module], dict[str, nn.Module]]:
    """Linear layers and convolutions by their names."""
    named = dict(unet.named_modules())
    kinds = (nn.Linear, nn.Conv2d)
    linear, conv = ({name: layer for name, layer in named.items() if isinstance(layer, kind)} for kind in kinds)
    return linear, conv


def outside(names: object) -> set[str]:
    return {name for name in names if "block" not in name}  # type: ignore[attr-defined]


@pytest.mark.parametrize("how", SMALL)
def test_all_layers_of_the_blocks_and_no_others_are_small(base: UNet2DConditionModel, how: BaseWeights) -> None:
    linear, conv = layers(unet_of(base, how))
    size = {"fp8": 1.0, "nf4": 0.5}[how]
    for group, bytes_each in ((linear, size), (conv, 1.0)):
        plain = {name for name, layer in group.items() if layer.weight.dtype == torch.float32}
        assert plain == outside(group)
        for name in group.keys() - plain:
            layer = group[name]
            elements = getattr(layer, "in_features", 0) * getattr(layer, "out_features", 0) or layer.weight.numel()
            assert layer.weight.numel() * layer.weight.element_size() == elements * bytes_each, name
    assert outside(conv) == {"conv_in", "conv_out"}
    assert len(outside(linear)) == 4


@pytest.mark.parametrize("how", SMALL)
def test_a_lora_on_small_weights_has_the_same_layers_and_learns(base: UNet2DConditionModel, how: BaseWeights) -> None:
    unet, shape = unet_of(base, how), LoraShape(4, 4.0, conv_rank=2, conv_alpha=2.0)
    network = attach({"unet": unet}, shape, seed=0, conv=True)
    plain = attach({"unet": unet_of(base, "full")}, shape, seed=0, conv=True)
    assert [module.target for module in network.modules] == [module.target for module in plain.modules]
    assert all(torch.equal(a.down, b.down) for a, b in zip(network.modules, plain.modules, strict=True))
    assert {flat.dtype for flat in network.parameters} == {torch.float32}

    optimizer = torch.optim.AdamW(network.parameters, lr=2e-3)
    latents, target, losses = random(1, 2, 4, 12, 12), random(9, 2, 4, 12, 12), []
    for _ in range(6):
        loss = (predicted(unet, latents) - target).square().mean()
        loss.backward()
        optimizer.step()
        network.zero_grad()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize("how", SMALL)
def test_small_weights_can_be_parked(base: UNet2DConditionModel, how: BaseWeights) -> None:
    unet = unet_of(base, how)
    before = output_and_gradient(unet)
    parking = Parking(unet.parameters, devices=("cpu",))
    parking.release()
    assert not any(weight.untyped_storage().nbytes() for weight in unet.parameters())
    assert parking.bytes >= sum(weight.nbytes for weight in unet.parameters())
    parking.restore()
    assert all(torch.equal(a, b) for a, b in zip(before, output_and_gradient(unet), strict=True))


@pytest.mark.parametrize("how", SMALL)
def test_full_size_has_its_722_layers_and_nearly_all_weights_are_small(
    how: BaseWeights, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = json.loads((configs_of("sdxl") / "unet" / "config.json").read_text(encoding="utf-8"))

    def empty() -> UNet2DConditionModel:
        with torch.device("meta"):
            return UNet2DConditionModel.from_config(config).bfloat16()

    monkeypatch.setattr(fp8, "_scale", lambda weight: 1.0)  # there are no weights to look at
    unet, plain = empty(), empty()
    store(unet, how)
    assert len(list(unet_targets(unet))) == 722
    assert list(unet_targets(unet, conv=True)) == list(unet_targets(plain, conv=True))
    linear, conv = layers(unet)
    of_blocks = {name: layer for name, layer in (linear | conv).items() if name not in outside(linear | conv)}
    assert {layer.weight.dtype for name, layer in conv.items() if name in of_blocks} == {fp8.STORED}
    kind = {"fp8": "Fp8Linear", "nf4": "Linear4bit"}[how]
    assert {type(layer).__name__ for name, layer in linear.items() if name in of_blocks} == {kind}
    left = sum(weight.numel() for weight in plain.parameters()) - sum(
        plain.get_submodule(name).weight.numel() for name in of_blocks
    )
    assert left < 0.004 * sum(weight.numel() for weight in plain.parameters())
