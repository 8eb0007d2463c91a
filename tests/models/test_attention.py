"""Our attention gives diffusers' numbers, with fewer operations."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from engine import device as devices
from engine.demo import architecture
from engine.models.attention import XformersAttention, use_sdxl_attention
from engine.models.refusals import refuse_what_cannot_be_had
from engine.plan.errors import UserError
from engine.plan.settings import resolve

DOCUMENTED = """
def memory_efficient_attention(query, key, value, attn_bias=None):
    query = query * (1.0 / query.shape[-1] ** 0.5)
    query, key, value = (tensor.transpose(1, 2) for tensor in (query, key, value))
    attn = query @ key.transpose(-2, -1)
    if attn_bias is not None:
        attn = attn + attn_bias
    return (attn.softmax(-1) @ value).transpose(1, 2).contiguous()
"""


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


@pytest.fixture
def xformers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package of this name, whose one function does what xformers' documentation says of its own."""
    (tmp_path / "xformers").mkdir()
    (tmp_path / "xformers" / "__init__.py").touch()
    (tmp_path / "xformers" / "ops.py").write_text(DOCUMENTED)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in ("xformers", "xformers.ops"):
        sys.modules.pop(name, None)


@pytest.mark.usefixtures("xformers")
def test_xformers_is_given_what_it_takes() -> None:
    torch.manual_seed(0)
    plain = architecture.unet()
    theirs = copy.deepcopy(plain)
    use_sdxl_attention(theirs, "xformers")
    assert {type(processor) for processor in theirs.attn_processors.values()} == {XformersAttention}
    for a, b in zip(output_and_gradient(plain), output_and_gradient(theirs), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)  # queries scaled before, not after


@pytest.mark.usefixtures("xformers")
def test_xformers_is_refused_where_it_cannot_work(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = resolve({"attention": "xformers"})
    with pytest.raises(UserError, match="needs an NVIDIA GPU") as refused:
        refuse_what_cannot_be_had(wanted, torch.device("cpu"), torch.float32)
    assert (refused.value.code, "sdpa" in refused.value.hint) == ("bad-attention", True)
    monkeypatch.setattr(devices, "describe", lambda device: "NVIDIA (cuda:0)")
    with pytest.raises(UserError, match=r"does not work on NVIDIA \(cuda:0\)") as refused:
        refuse_what_cannot_be_had(wanted, torch.device("cuda"), torch.bfloat16)  # there is none here
    assert refused.value.code == "bad-attention"


def test_an_attention_that_is_not_sdxls_is_refused() -> None:
    unet = architecture.unet()
    unet.mid_block.attentions[0].transformer_blocks[0].attn1.rescale_output_factor = 2.0
    with pytest.raises(ValueError, match="mid_block"):
        use_sdxl_attention(unet)
