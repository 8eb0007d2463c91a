"""Figures of the steps: in order, written by a flush at the latest, averaged over a hundred, and ended by a NaN."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from engine.plan.errors import UserError
from engine.train import meter as module
from engine.train.meter import Meter, StepFacts

CPU = torch.device("cpu")


class Events:
    """Stands for the context: keeps what is told."""

    def __init__(self) -> None:
        self.steps: list[dict[str, Any]] = []

    def emit(self, kind: str, **fields: Any) -> None:
        assert kind == "step"
        self.steps.append(fields)


def facts(step: int, loss: float, norm: float = 0.5) -> StepFacts:
    return StepFacts(step, 1, step, {"unet": 0.1}, None, 2, torch.tensor([loss, norm]))


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
def meter(events: Events, monkeypatch: pytest.MonkeyPatch) -> Meter:
    """A meter whose clock stands still, so that only counts and flushes move it."""
    monkeypatch.setattr(module.time, "monotonic", lambda: 1000.0)
    return Meter(events, CPU)  # type: ignore[arg-type]


def test_nothing_is_fetched_until_a_flush_and_then_all_in_order(meter: Meter, events: Events) -> None:
    for step in range(1, 8):
        meter.add(facts(step, step / 10))
    assert not events.steps
    meter.flush()
    assert [(e["step"], round(e["loss"], 6)) for e in events.steps] == [(n, n / 10) for n in range(1, 8)]
    meter.flush()
    assert len(events.steps) == 7


def test_a_hundred_steps_are_written_without_a_flush(meter: Meter, events: Events) -> None:
    for step in range(1, 251):
        meter.add(facts(step, 1.0))
    assert [e["step"] for e in events.steps] == list(range(1, 201))


def test_after_half_a_second_the_next_step_brings_all(
    meter: Meter, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    meter.add(facts(1, 1.0))
    monkeypatch.setattr(module.time, "monotonic", lambda: 1001.0)
    meter.add(facts(2, 1.0))
    assert [e["step"] for e in events.steps] == [1, 2]
    assert [e["seconds"] for e in events.steps] == [0.5, 0.5]
    assert [e["images_per_second"] for e in events.steps] == [4.0, 4.0]


def test_time_for_samples_is_not_the_steps(meter: Meter, events: Events, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.time, "monotonic", lambda: 1100.0)
    meter.resume_clock()
    monkeypatch.setattr(module.time, "monotonic", lambda: 1101.0)
    meter.add(facts(1, 1.0))
    assert events.steps[0]["seconds"] == 1.0


def test_the_average_is_of_the_last_hundred_losses(meter: Meter, events: Events) -> None:
    losses = [1.0] * 100 + [3.0] * 50
    for step, loss in enumerate(losses, start=1):
        meter.add(facts(step, loss))
    meter.flush()
    averages = [e["loss_avg"] for e in events.steps]
    assert averages[:100] == [1.0] * 100
    assert averages[100] == pytest.approx((99 * 1 + 3) / 100)
    assert averages[-1] == pytest.approx((50 * 1 + 50 * 3) / 100)


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_no_number_ends_it_after_its_own_event(meter: Meter, events: Events, loss: float) -> None:
    meter.last_saved = "ohwx-000003.safetensors"
    for step in (1, 2):
        meter.add(facts(step, 1.0))
    meter.add(facts(3, loss))
    meter.add(facts(4, 1.0))
    with pytest.raises(UserError, match=r"step 3 the loss .* ohwx-000003\.safetensors") as error:
        meter.flush()
    assert error.value.code == "loss-not-finite"
    assert [e["step"] for e in events.steps] == [1, 2, 3]
    assert events.steps[-1]["loss_avg"] == 1.0


def test_a_gradient_that_is_no_number_ends_it_too_unless_a_scaler_skips_such_steps(events: Events) -> None:
    exact, scaled = (Meter(events, CPU, scaled) for scaled in (False, True))  # type: ignore[arg-type]
    for meter in (exact, scaled):
        meter._last_fetch = math.inf
        meter.add(facts(1, 1.0, math.inf))
    scaled.flush()
    assert events.steps[-1]["grad_norm"] == math.inf
    with pytest.raises(UserError, match="the gradient"):
        exact.flush()


def test_with_prodigy_the_rate_and_its_estimate_are_told(meter: Meter, events: Events) -> None:
    meter.add(StepFacts(1, 2, 3, {"unet": 0.002}, 0.001, 4, torch.tensor([1.0, 0.25])))
    meter.flush()
    told = events.steps[0]
    assert (told["lr"], told["d"], told["grad_norm"]) == ({"unet": 0.002}, 0.001, 0.25)
    assert (told["epoch"], told["epoch_step"]) == (2, 3)
