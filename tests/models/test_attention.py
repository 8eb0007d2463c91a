"""Our attention gives diffusers' numbers, with fewer operations."""

from __future__ import annotations

import copy

import pytest
import torch

from engine.demo import architecture
from engine.models.attention import use_sdxl_attention


def output_and_gradient(unet: torch.nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(1)
    latents = torch.randn(2, 4, 10, 14, generator=g).requires_grad_(True)
    made = unet(
        latents,
        torch.tensor([10, 700]),
        torch.randn(2, 77, architecture.CROSS_ATTENTION_DIM, generator=g),
        added_cond_kwargs={"text_embeds": torch.randn(2, 64, generator=g), "time_ids": torch.full((2, 6), 96.0)},
    ).sample
    made.square().mean().backward()
    assert latents.grad is not None
    return made.detach(), latents.grad


def test_output_and_gradients_are_those_of_diffusers() -> None:
    torch.manual_seed(0)
    plain = architecture.unet()
    ours = copy.deepcopy(plain)
    use_sdxl_attention(ours)
    for a, b in zip(output_and_gradient(plain), output_and_gradient(ours), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


def test_an_attention_that_is_not_sdxls_is_refused() -> None:
    unet = architecture.unet()
    unet.mid_block.attentions[0].transformer_blocks[0].attn1.rescale_output_factor = 2.0
    with pytest.raises(ValueError, match="mid_block"):
        use_sdxl_attention(unet)
