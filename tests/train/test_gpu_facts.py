"""What a card says of itself, as far as that can be told without one: torch's own questions are answered here."""

from __future__ import annotations

import pytest
import torch

from engine.device import gpu_facts

GIB = 1024**3
CARD = torch.device("cuda:1")


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (4 * GIB, 24 * GIB))
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 19 * GIB)
    for name, value in (("utilization", 97), ("temperature", 71), ("power_draw", 382_400)):
        monkeypatch.setattr(torch.cuda, name, lambda device, value=value: value if device == CARD else None)
    return monkeypatch


def test_a_card_says_everything(card: pytest.MonkeyPatch) -> None:
    assert gpu_facts(CARD) == {
        "used_bytes": 20 * GIB,
        "total_bytes": 24 * GIB,
        "peak_bytes": 19 * GIB,
        "utilisation": 97,
        "celsius": 71,
        "watts": 382.4,
    }


@pytest.mark.parametrize("trouble", [ModuleNotFoundError("pynvml"), RuntimeError("NVML"), ValueError("Not Supported")])
def test_a_driver_that_tells_nothing_stops_no_training(card: pytest.MonkeyPatch, trouble: Exception) -> None:
    def refuse(device: torch.device) -> int:
        raise trouble

    for name in ("utilization", "temperature", "power_draw"):
        card.setattr(torch.cuda, name, refuse)
    facts = gpu_facts(CARD)
    assert (facts["utilisation"], facts["celsius"], facts["watts"]) == (None, None, None)
    assert facts["used_bytes"] == 20 * GIB
