"""The running average of a LoRA."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from engine.lora.average import Average


def test_the_average_follows_quickly_at_first_and_then_at_its_decay() -> None:
    flat = nn.Parameter(torch.zeros(3))
    average = Average([flat], decay=0.5)
    expected = 0.0
    for step in range(1, 30):
        flat.data.fill_(float(step))
        average.update(step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * step
        assert average.values[0].tolist() == pytest.approx([expected] * 3)


def test_it_is_worn_only_meanwhile_and_can_begin_anew() -> None:
    flat = nn.Parameter(torch.zeros(3))
    average = Average([flat], decay=0.9)
    flat.data.fill_(4.0)
    average.update(1)

    def fail_meanwhile() -> None:
        with average.worn():
            assert torch.equal(flat.data, average.values[0])
            assert flat.data[0] != 4.0
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_meanwhile()
    assert flat.tolist() == [4.0] * 3
    average.restart()
    assert average.values[0].tolist() == [4.0] * 3
