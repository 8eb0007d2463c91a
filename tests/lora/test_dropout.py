"""Dropout inside the LoRA: the shares, the making up for them, and that nothing depends on what came before."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from diffusers import UNet2DConditionModel

from engine.demo import architecture
from engine.lora.attach import LoraShape, attach
from engine.lora.dropout import Dropout, DropoutRates, LayerDropout
from engine.train.noise import draw

CPU = torch.device("cpu")
RANK = 64


def layer(rates: DropoutRates, positions: list[int], step: int = 1, layers: int = 40, number: int = 3) -> LayerDropout:
    dropout = Dropout(rates, [RANK] * layers, partial(draw, 7))
    dropout.begin(step, positions, CPU)
    return LayerDropout(dropout, number, number * RANK, RANK)


def test_values_are_dropped_at_their_rate_and_the_rest_makes_up_for_them() -> None:
    seen = layer(DropoutRates(network=0.25), [0, 1])(torch.ones(2, 500, RANK))
    assert sorted(seen.unique().tolist()) == pytest.approx([0.0, 1 / 0.75])
    assert float((seen == 0).float().mean()) == pytest.approx(0.25, abs=0.01)
    assert float(seen.mean()) == pytest.approx(1.0, abs=0.02)


def test_whole_ranks_are_dropped_for_each_sample_by_itself() -> None:
    seen = layer(DropoutRates(rank=0.5), [0, 1])(torch.ones(2, 9, RANK))
    assert torch.equal(seen, seen[:, :1].expand_as(seen))
    assert set(seen.unique().tolist()) == {0.0, 2.0}
    assert not torch.equal(seen[0], seen[1])
    images = layer(DropoutRates(rank=0.5), [0, 1])(torch.ones(2, RANK, 3, 3))
    assert torch.equal(images[:, :, 0, 0], seen[:, 0])  # a convolution's ranks are its channels


def test_whole_layers_are_dropped_and_nothing_makes_up_for_them() -> None:
    kept = [
        float(layer(DropoutRates(module=0.3), [position], number=number)(torch.ones(1, 1, RANK)).mean())
        for position in range(25)
        for number in range(40)
    ]
    assert set(kept) == {0.0, 1.0}
    assert sum(kept) / len(kept) == pytest.approx(0.7, abs=0.05)


@pytest.mark.parametrize("rates", [DropoutRates(network=0.3), DropoutRates(rank=0.3), DropoutRates(module=0.3)])
def test_a_sample_drops_the_same_in_any_batch_and_again_on_recomputing(rates: DropoutRates) -> None:
    ones = torch.ones(2, 5, RANK)
    together = layer(rates, [4, 5])
    whole = torch.cat([together(ones), together(ones)])
    alone = torch.cat([layer(rates, [4])(ones[:1]), layer(rates, [5])(ones[:1])])
    assert torch.equal(whole, torch.cat([alone, alone]))
    others = [
        layer(rates, [4, 5], step=step, number=number)(ones) for step in range(2, 6) for number in range(8)
    ]  # a layer is rarely dropped twice at just the same places
    assert not all(torch.equal(whole[:2], other) for other in others)


def test_rows_of_a_long_caption_drop_as_one_sample() -> None:
    seen = layer(DropoutRates(rank=0.5), [0, 1])(torch.ones(6, 77, RANK))
    assert torch.equal(seen[0], seen[2])
    assert torch.equal(seen[3], seen[5])
    assert not torch.equal(seen[0], seen[3])


def test_a_network_drops_only_while_it_is_trained(unet: UNet2DConditionModel) -> None:
    network = attach(
        {"unet": unet}, LoraShape(4, 4.0), seed=0, dropout=DropoutRates(network=0.5, rank=0.5), draw=partial(draw, 1)
    )
    for flat in network.parameters:
        flat.data.normal_(std=0.2, generator=torch.Generator().manual_seed(2))
    assert network.dropout is not None

    def predict(step: int) -> torch.Tensor:
        assert network.dropout is not None
        network.dropout.begin(step, [0], CPU)
        generator = torch.Generator().manual_seed(0)
        conditions = {"text_embeds": torch.zeros(1, 64), "time_ids": torch.tensor([[96.0, 96, 0, 0, 96, 96]])}
        with torch.no_grad():
            return unet(
                torch.randn(1, 4, 12, 12, generator=generator),
                torch.tensor([500]),
                torch.randn(1, 77, architecture.CROSS_ATTENTION_DIM, generator=generator),
                added_cond_kwargs=conditions,
            ).sample

    unet.train()
    assert torch.equal(predict(1), predict(1))
    assert not torch.allclose(predict(1), predict(2), atol=1e-3)
    unet.eval()
    assert torch.equal(predict(1), predict(2))
