"""Our forward pass of an adapted layer gives PEFT's numbers: output, and all gradients."""

from __future__ import annotations

import copy

import torch
from peft import LoraConfig, inject_adapter_in_model
from torch import nn

from engine.lora.layer import ADAPTER, LoraLinear, Switch


def pair(rank: int = 4, alpha: float = 3.0) -> tuple[nn.Module, nn.Module]:
    """The same adapted layer twice: PEFT's own and ours."""
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(12, 20))
    ours = copy.deepcopy(plain)
    config = LoraConfig(r=rank, lora_alpha=alpha, target_modules=["0"])
    inject_adapter_in_model(config, plain, ADAPTER)
    config = LoraConfig(r=rank, lora_alpha=alpha, target_modules=["0"])
    config._register_custom_module({nn.Linear: LoraLinear})
    inject_adapter_in_model(config, ours, ADAPTER)
    assert isinstance(ours[0], LoraLinear)
    assert not isinstance(plain[0], LoraLinear)
    with torch.no_grad():
        for name in ("lora_A", "lora_B"):
            weight = torch.randn_like(getattr(plain[0], name)[ADAPTER].weight)
            for model in (plain, ours):
                getattr(model[0], name)[ADAPTER].weight.copy_(weight)
    return plain, ours


def run(model: nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    x = x.clone().requires_grad_(True)
    y = model(x)
    y.square().sum().backward()
    assert x.grad is not None
    layer = model[0]  # type: ignore[index]
    gradients = [layer.lora_A[ADAPTER].weight.grad, layer.lora_B[ADAPTER].weight.grad]
    return [y.detach(), x.grad, *gradients]


def test_output_and_gradients_are_pefts() -> None:
    plain, ours = (model.double() for model in pair())
    for shape in ((5, 12), (2, 7, 12)):
        x = torch.randn(shape, dtype=torch.float64)
        for a, b in zip(run(plain, x), run(ours, x), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


def test_in_bf16_the_result_is_as_close_to_the_exact_one_as_pefts() -> None:
    plain, ours = pair()
    x = torch.randn(64, 12)
    exact = plain(x)
    with torch.autocast("cpu", torch.bfloat16):
        by_peft, by_us = plain(x).float(), ours(x).float()
    assert (by_us - exact).square().mean() <= (by_peft - exact).square().mean() * 1.05


def test_scale_zero_is_exactly_the_base_layer() -> None:
    _, ours = pair()
    ours[0].scaling[ADAPTER] = 0.0  # type: ignore[index]
    x = torch.randn(3, 12)
    assert torch.equal(ours(x), ours[0].base_layer(x))  # type: ignore[index]


def test_switched_off_is_exactly_the_base_layer_and_on_again_as_before() -> None:
    _, ours = pair()
    layer = ours[0]  # type: ignore[index]
    layer.switch = Switch()
    x = torch.randn(3, 12)
    before = ours(x)
    layer.switch.off = True
    assert torch.equal(ours(x), layer.base_layer(x))
    layer.switch.off = False
    assert torch.equal(ours(x), before)
