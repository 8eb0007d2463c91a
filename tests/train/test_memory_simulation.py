"""The simulation of a step's memory, on the practice model: shapes without numbers give what real tensors take."""

from __future__ import annotations

import gc

import pytest
import torch

from benchmarks.memory.live import LiveStorage
from benchmarks.memory.recalled import Recalled
from benchmarks.memory.simulate import simulate_step
from engine.plan.settings import resolve


def test_each_storage_is_counted_once_and_until_nothing_holds_it() -> None:
    count = LiveStorage()
    with count:
        one = torch.zeros(1000)
        view = one[10:20].view(2, 5)
        with count.phase("sum"):
            (one + 1 + 1).sum()
    assert count.bytes == 4000
    assert count.peak == 12_000  # two sums at once, the view's storage is the first
    assert count.phases == {"sum": count.peak}
    del one
    assert count.bytes == 4000
    del view
    gc.collect()
    assert count.bytes == 0


def test_what_autograd_keeps_is_counted() -> None:
    count = LiveStorage()
    with count:
        weight = torch.zeros(10, 10, requires_grad=True)
        made = (weight.exp() * 2).sum()
        assert count.bytes == 400 + 400 + 4  # exp keeps its result
        made.backward()
        del made
        gc.collect()
        assert count.bytes == 400 + 400  # the gradient


def test_recalled_operations_are_the_operations() -> None:
    recalled, x = Recalled(), torch.empty(4, 6, 8, device="meta")
    add, split = torch.ops.aten.add.Tensor, torch.ops.aten.native_layer_norm.default
    for _ in range(2):
        assert recalled(add, (x.permute(2, 0, 1), 1), {}).stride() == torch.add(x.permute(2, 0, 1), 1).stride()
        assert [t.shape for t in recalled(split, (x, [8], None, None, 1e-5), {})] == [(4, 6, 8), (4, 6, 1), (4, 6, 1)]
        assert recalled(add, (x, 1.5), {}).untyped_storage()._cdata != x.untyped_storage()._cdata
        view = recalled(torch.ops.aten.view.default, (x, [24, 8]), {})
        assert view.untyped_storage()._cdata == x.untyped_storage()._cdata


def test_a_step_without_numbers_takes_what_a_real_one_takes() -> None:
    settings = resolve({"network_dim": 4, "train_batch_size": 2})
    simulated = simulate_step(settings, (64, 64), "micro")
    real = simulate_step(settings, (64, 64), "micro", "real")
    assert simulated.parts == real.parts
    for (
        moment,
        size,
    ) in real.moments.items():  # tables of a number a timestep are copied to one device and not the other
        assert simulated.moments[moment] == pytest.approx(size, abs=16_000)
    assert simulated.peak == pytest.approx(real.peak, abs=16_000)
    assert real.peak > sum(real.parts.values())
