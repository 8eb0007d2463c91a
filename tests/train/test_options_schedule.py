"""The learning rate's way: each schedule against its closed formula, and the rates of real trainings."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import nn

from engine.plan.errors import UserError
from engine.runs.resume import prepare
from engine.train.schedule import Schedule, factor
from tests.training import Trained, Trainer, same, settings

TOTAL = 100


def rates(**values: object) -> list[float]:
    """The factor of each of 100 steps."""
    function = factor(settings(**values), TOTAL)
    return [function(done) for done in range(TOTAL)]


def warmed(after: Callable[[float], float], warmup: int = 10) -> list[float]:
    """A rise over `warmup` steps, then `after` of the part of the way that is done."""
    rise = [step / warmup for step in range(warmup)]
    return rise + [after(step / (TOTAL - warmup)) for step in range(TOTAL - warmup)]


def cosine(part: float, lowest: float = 0.0, cycles: float = 1.0) -> float:
    return lowest + (1 - lowest) * (1 + math.cos(math.pi * part * cycles)) / 2


FORMULAS: dict[str, tuple[dict[str, object], list[float]]] = {
    "constant": ({"lr_warmup_steps": 0}, [1.0] * TOTAL),
    "constant_with_warmup": ({}, warmed(lambda part: 1.0)),
    "linear": ({}, warmed(lambda part: 1 - part)),
    "cosine": ({}, warmed(cosine)),
    "cosine_with_restarts": ({"lr_scheduler_num_cycles": 3}, warmed(lambda part: cosine(3 * part % 1.0))),
    "polynomial": (
        {"lr_scheduler_power": 2.0, "learning_rate": 1e-3},
        warmed(lambda part: (1e-7 + (1e-3 - 1e-7) * (1 - part) ** 2) / 1e-3),
    ),
    "inverse_sqrt": ({}, warmed(lambda part: 1 / math.sqrt((90 * part + 10) / 10))),
    "cosine_with_min_lr": ({"lr_scheduler_min_lr_ratio": 0.2}, warmed(lambda part: cosine(part, 0.2))),
    "warmup_stable_decay": (
        {"lr_decay_steps": 30},
        warmed(lambda part: 1.0 if (step := round(part * 90)) < 60 else cosine((step - 60) / 30)),
    ),
    "piecewise_constant": (
        {"lr_warmup_steps": 0, "lr_scheduler_args": ('step_rules="1:20,0.5:70,0.1"',)},
        [1.0] * 20 + [0.5] * 50 + [0.1] * 30,
    ),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_each_schedule_is_its_formula(name: str) -> None:
    values, expected = FORMULAS[name]
    assert rates(**{"lr_scheduler": name, "lr_warmup_steps": 10} | values) == pytest.approx(expected, abs=1e-6)


def test_every_schedule_has_a_formula_here() -> None:
    from engine.plan.options import by_name

    assert list(FORMULAS) == list(by_name()["lr_scheduler"].choices)


def test_option_lr_warmup_steps_and_lr_decay_steps() -> None:
    share = rates(lr_scheduler="warmup_stable_decay", lr_warmup_steps=0.25, lr_decay_steps=0.5)
    assert share == rates(lr_scheduler="warmup_stable_decay", lr_warmup_steps=25, lr_decay_steps=50)
    assert (share[0], share[25], share[50], share[75]) == pytest.approx((0.0, 1.0, 1.0, 0.5))
    assert rates(lr_scheduler="constant", lr_warmup_steps=10) == rates(
        lr_scheduler="constant_with_warmup", lr_warmup_steps=10
    )
    assert rates(lr_scheduler="linear", lr_warmup_steps=1) != rates(lr_scheduler="linear", lr_warmup_steps=0)


def test_option_lr_scheduler_num_cycles_and_lr_scheduler_power() -> None:
    once, twice = (rates(lr_scheduler="cosine_with_restarts", lr_scheduler_num_cycles=n) for n in (1, 2))
    assert once[:50] != twice[:50]
    assert twice[50] == pytest.approx(1.0)
    straight, bent = (rates(lr_scheduler="polynomial", lr_scheduler_power=p)[50] for p in (1.0, 2.0))
    assert (straight, bent) == pytest.approx((0.5, 0.25), abs=1e-3)


def test_option_lr_scheduler_min_lr_ratio_and_lr_scheduler_args() -> None:
    low, high = (rates(lr_scheduler="cosine_with_min_lr", lr_scheduler_min_lr_ratio=r) for r in (0.0, 0.3))
    assert (low[-1], high[-1]) == pytest.approx((0.0, 0.3), abs=1e-3)
    plain = rates(lr_scheduler="inverse_sqrt")
    timed = rates(lr_scheduler="inverse_sqrt", lr_scheduler_args=("timescale=10",))
    assert timed[30] == pytest.approx(0.5)
    assert plain[30] > 0.99


def test_every_group_keeps_its_own_full_rate() -> None:
    """Whatever a checkpoint puts into the groups: the rate is a function of the step."""
    groups = [{"params": [nn.Parameter(torch.zeros(1))], "lr": rate} for rate in (1.0, 0.1)]
    optimizer = torch.optim.AdamW(groups)
    schedule = Schedule(settings(lr_scheduler="linear"), optimizer, TOTAL)
    for group in optimizer.param_groups:
        group["lr"] = 99.0
    schedule.set(51)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.5, 0.05])
    schedule.set(1)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([1.0, 0.1])


@pytest.mark.parametrize(
    "values",
    [
        {"lr_scheduler": "piecewise_constant"},
        {"lr_scheduler": "piecewise_constant", "lr_scheduler_args": ('step_rules="nonsense"',)},
        {"lr_scheduler": "cosine", "lr_scheduler_args": ("no_such=1",)},
        {"lr_scheduler": "polynomial", "learning_rate": 0.0},
    ],
)
def test_a_schedule_that_cannot_work_is_said_in_one_sentence(values: dict[str, object]) -> None:
    with pytest.raises(UserError, match=f"lr_scheduler {values['lr_scheduler']} does not work") as refused:
        factor(settings(**values), TOTAL)
    assert refused.value.code == "bad-schedule"


# ----------------------------------------------------------------------------------------------------- whole trainings
def shown(run: Trained) -> list[float]:
    return [event["lr"]["unet"] for event in run.of("step")]


def test_option_lr_scheduler(train: Trainer, plain: Trained) -> None:
    falling = train(lr_scheduler="linear", learning_rate=3e-3)
    assert shown(falling) == pytest.approx([3e-3, 2e-3, 1e-3])
    assert shown(plain) == pytest.approx([1e-3] * 3)
    assert not same(falling.lora, train(learning_rate=3e-3).lora)
    told = falling.lora.metadata
    assert (told["ss_lr_scheduler"], told["ss_lr_warmup_steps"]) == ("linear", "0")
    assert (plain.lora.metadata["ss_lr_scheduler"], plain.lora.metadata["ss_lr_warmup_steps"]) == ("constant", "0")


def test_a_constant_rate_with_a_warm_up_warms_up_and_says_so(train: Trainer) -> None:
    run = train(lr_warmup_steps=0.7, optimizer_type="Prodigy", learning_rate=1.0)
    d = [event["d"] for event in run.of("step")]
    assert shown(run) == pytest.approx([0.0, d[1] / 2, d[2]])  # 2 of 3 steps; of Prodigy what is really used
    assert run.lora.metadata["ss_lr_scheduler"] == "constant_with_warmup"
    assert run.lora.metadata["ss_lr_warmup_steps"] == "0.7"


def test_batches_that_are_collected_are_one_step_of_the_schedule(train: Trainer) -> None:
    run = train(lr_scheduler="linear", gradient_accumulation_steps=2)
    assert shown(run) == pytest.approx([1e-3, 5e-4])


@pytest.mark.parametrize(("schedule", "said"), [("linear", True), ("constant", False)])
def test_more_epochs_under_a_schedule_that_goes_by_the_length_are_told(
    train: Trainer, schedule: str, said: bool
) -> None:
    project = train.project()
    short = train.do(train.prepare(project, lr_scheduler=schedule), project)
    prepare(short.run, {"max_train_epochs": 2})
    more = train.do(short.run, project)
    assert more.end["status"] == "finished"
    assert ("schedule-of-another-length" in more.warnings) == said
    expected = [1e-3, 2e-3 / 3, 1e-3 / 3, 5e-4, 1e-3 / 3, 1e-3 / 6] if said else [1e-3] * 6
    assert shown(more) == pytest.approx(expected)


@pytest.mark.proof
def test_a_dry_run_has_the_rates_of_the_whole_training(train: Trainer) -> None:
    project = train.project()
    values = {"lr_scheduler": "linear", "max_train_epochs": 2}
    dry = train.do(train.prepare(project, {"dry_run": 2}, **values), project)
    assert shown(dry) == shown(train(**values))[:2]
