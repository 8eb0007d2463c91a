"""Layers that keep their weights in 8 bits give the products of those weights, forward and backward."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from engine.models.fp8 import STORED, store_in_fp8

LAYERS = {
    "linear": (lambda: nn.Linear(48, 24), (3, 7, 48)),
    "linear without bias": (lambda: nn.Linear(48, 24, bias=False), (5, 48)),
    "convolution": (lambda: nn.Conv2d(8, 16, 3, padding=1), (2, 8, 9, 6)),
    "downsampling": (lambda: nn.Conv2d(8, 16, 3, stride=2, padding=1), (2, 8, 9, 6)),
    "1x1": (lambda: nn.Conv2d(8, 16, 1, bias=False), (2, 8, 5, 5)),
}


def both(name: str, std: float = 0.05) -> tuple[nn.Module, nn.Module, torch.Tensor]:
    """(the layer in 8 bits, a plain one with the weights that are kept, an input)."""
    torch.manual_seed(0)
    make, shape = LAYERS[name]
    layer = make()
    nn.init.normal_(layer.weight, std=std)
    stored, kept = copy.deepcopy(layer).requires_grad_(False), copy.deepcopy(layer).requires_grad_(False)
    store_in_fp8(stored)
    kept.weight.copy_(stored.weight.float() * stored.scale)
    return stored, kept, torch.randn(shape)


@pytest.mark.parametrize("name", LAYERS)
def test_output_and_gradient_are_those_of_the_kept_weights(name: str) -> None:
    stored, kept, x = both(name)
    assert stored.weight.dtype == STORED
    found = []
    for layer in (stored, kept):
        own = x.clone().requires_grad_(True)
        y = layer(own)
        y.square().sum().backward()
        found.append((y.detach(), own.grad))
    torch.testing.assert_close(found[0], found[1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("std", [1e-5, 1e-2, 0.3, 30.0])
def test_weights_of_any_size_keep_their_digits(std: float) -> None:
    """e4m3 has three digits behind the first: on average they are off by 2.6 %."""
    torch.manual_seed(0)
    layer = nn.Linear(256, 256)
    nn.init.normal_(layer.weight, std=std)
    before = layer.weight.detach().clone()
    store_in_fp8(layer)
    assert (layer.weight.float() * layer.scale - before).norm() / before.norm() < 0.03
    assert layer.scale == 2.0 ** round(torch.tensor(layer.scale).log2().item())


def test_zeros_stay_zeros_and_layers_stay_layers() -> None:
    layer = nn.Linear(4, 4)
    nn.init.zeros_(layer.weight)
    store_in_fp8(layer)
    assert isinstance(layer, nn.Linear)
    assert not layer.weight.requires_grad
    assert not layer(torch.ones(2, 4)).sub(layer.bias).any()


@pytest.mark.parametrize("name", ["linear", "convolution"])
def test_autocast_says_what_is_calculated_in(name: str) -> None:
    stored, kept, x = both(name)
    x.requires_grad_(True)
    with torch.autocast("cpu", torch.bfloat16):
        ours, plain = stored(x), kept(x)
    assert ours.dtype == plain.dtype == torch.bfloat16
    torch.testing.assert_close(ours, plain)
    (gradient,) = torch.autograd.grad(ours.float().square().sum(), x)
    assert gradient.dtype == torch.float32
    torch.testing.assert_close(gradient, torch.autograd.grad(plain.float().square().sum(), x)[0], rtol=2e-2, atol=2e-2)


def test_nothing_but_the_8_bits_waits_for_the_backward_pass() -> None:
    stored, _, x = both("linear")
    saved: list[torch.Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
        stored(x.requires_grad_(True))
    assert [tensor.dtype for tensor in saved] == [STORED]
