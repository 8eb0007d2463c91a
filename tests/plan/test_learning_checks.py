"""Checks of the optimizer, the schedule and what is saved on the way."""

from __future__ import annotations

import pytest

from engine.plan.errors import Finding
from engine.plan.learning_checks import check_learning
from engine.plan.saving_checks import check_saving
from engine.plan.schedule_checks import check_schedule
from engine.plan.settings import parse_text, resolve

LION = {"optimizer_type": "Lion", "learning_rate": 3e-5}
ADAFACTOR = {"optimizer_type": "Adafactor", "learning_rate": 1e-4, "max_grad_norm": 0.0}


def found(total: int | None = 1000, **values: object) -> dict[str, Finding]:
    settings = resolve(values)
    every = [*check_learning(settings), *check_schedule(settings, total), *check_saving(settings)]
    return {finding.code: finding for finding in every}


@pytest.mark.parametrize(
    "values",
    [
        {},
        LION,
        ADAFACTOR,
        {"optimizer_type": "torch.optim.RAdam", "learning_rate": 1e-4},
        {"lr_scheduler": "cosine"},
        {"lr_scheduler": "cosine_with_min_lr", "lr_scheduler_min_lr_ratio": 0.1},
        {"lr_scheduler": "piecewise_constant", "lr_scheduler_args": ['step_rules="1:10,0.1"']},
        {**LION, "lr_scheduler": "warmup_stable_decay", "lr_warmup_steps": 0.1, "lr_decay_steps": 0.9},
        {"save_every_n_steps": 100, "save_last_n_steps": 300, "save_last_n_epochs": 2, "sample_every_n_epochs": 4},
    ],
)
def test_what_is_in_order_is_not_criticised(values):
    assert found(**values) == {}


@pytest.mark.parametrize(
    ("kind", "code", "rate"),
    [
        ("AdamW", "adamw-learning-rate", 0.0001),
        ("Adafactor", "adafactor-learning-rate", 0.0001),
        ("Lion", "lion-learning-rate", 0.00003),
    ],
)
def test_prodigys_rate_that_was_left_stops_training_with_the_rate_that_fits(kind, code, rate):
    finding = found(optimizer_type=kind)[code]
    assert (finding.option, finding.value) == ("learning_rate", rate)
    assert finding.stops_training()
    assert parse_text("learning_rate", finding.hint.rpartition("learning_rate=")[2]) == rate
    assert found(optimizer_type=kind, learning_rate=0.0)["learning-rate-zero"].value == rate
    assert code not in found(optimizer_type=kind, learning_rate=rate)


def test_a_rate_of_0_is_refused_for_good_only_where_the_optimizer_itself_refuses_it():
    prodigy = found(learning_rate=0.0)
    assert (prodigy["learning-rate-zero"].value, "prodigy-learning-rate" in prodigy) == (1.0, False)
    assert prodigy["learning-rate-zero"].stops_training(accept_warnings=True)
    adamw = found(optimizer_type="AdamW", learning_rate=0.0)["learning-rate-zero"]
    assert adamw.stops_training()
    assert not adamw.stops_training(accept_warnings=True)


@pytest.mark.parametrize("option", ["unet_lr", "text_encoder_lr"])
def test_a_parts_own_rate_is_judged_like_the_common_one(option):
    own = {"train_text_encoder_1": True, option: "1"}
    adamw = found(optimizer_type="AdamW", learning_rate=1e-4, **own)["adamw-learning-rate"]
    assert (adamw.option, adamw.value, adamw.stops_training()) == (option, "", True)
    assert f"{option} = 1 is far too high" in adamw.message
    low = found(learning_rate=1.0, **own | {option: "0.0001"})["prodigy-learning-rate"]
    assert (low.option, low.stops_training()) == (option, True)
    assert found(learning_rate=1.0, **own | {option: "5"})["prodigy-learning-rate-high"].option == option


def test_a_common_rate_that_no_part_uses_is_not_judged():
    assert found(optimizer_type="AdamW", learning_rate=1.0, unet_lr="0.0001") == {}


def test_the_rate_of_another_class_is_only_doubted():
    assert not found(optimizer_type="torch.optim.SGD")["learning-rate-left-over"].stops_training()
    assert set(found(optimizer_type="prodigyopt.Prodigy")) == set()


def test_a_class_whose_package_is_missing_is_an_error_that_imports_nothing():
    finding = found(optimizer_type="no_such_package.deep.Optimizer")["optimizer-not-installed"]
    assert "no_such_package" in finding.message
    assert finding.stops_training(accept_warnings=True)


def test_eight_bits_need_their_package(monkeypatch):
    import engine.plan.packages as module

    monkeypatch.setattr(module, "find_spec", lambda name: None if name == "bitsandbytes" else name)
    finding = found(optimizer_type="AdamW8bit", learning_rate=1e-4)["optimizer-not-installed"]
    assert "the package bitsandbytes, which is not installed" in finding.message
    assert finding.value == "AdamW"


@pytest.mark.parametrize(
    ("values", "code", "option", "value"),
    [
        (ADAFACTOR | {"optimizer_args": []}, "adafactor-relative-step", "optimizer_args", ["relative_step=False"]),
        (
            ADAFACTOR | {"optimizer_args": ["beta1=0.9", "relative_step=False", "warmup_init=True"]},
            "adafactor-relative-step",
            "optimizer_args",
            ["beta1=0.9", "relative_step=False"],
        ),
        (ADAFACTOR | {"max_grad_norm": 1.0}, "adafactor-max-grad-norm", "max_grad_norm", 0.0),
        (LION | {"optimizer_args": ["d0=1e-4"]}, "optimizer-args-unknown", "optimizer_args", []),
        (LION | {"lr_warmup_steps": 10}, "constant-with-warm-up", "lr_scheduler", "constant_with_warmup"),
        ({"lr_scheduler": "constant_with_warmup"}, "warm-up-missing", "lr_warmup_steps", 0.05),
        (LION | {"lr_scheduler": "cosine", "lr_warmup_steps": 1000}, "warm-up-too-long", "lr_warmup_steps", 0.05),
        ({"lr_scheduler_min_lr_ratio": 0.1}, "schedule-option-unused", "lr_scheduler_min_lr_ratio", 0.0),
        ({"lr_scheduler_power": 2.0, "lr_scheduler": "cosine"}, "schedule-option-unused", "lr_scheduler_power", 1.0),
        ({"lr_decay_steps": 5}, "schedule-option-unused", "lr_decay_steps", 0),
        ({"lr_scheduler": "warmup_stable_decay"}, "decay-missing", "lr_decay_steps", 0.2),
        (
            {"lr_scheduler": "warmup_stable_decay", "lr_warmup_steps": 500, "lr_decay_steps": 0.6},
            "decay-too-long",
            "lr_decay_steps",
            0.2,
        ),
        (
            {"lr_scheduler": "piecewise_constant"},
            "bad-step-rules",
            "lr_scheduler_args",
            ['step_rules="1:100,0.1"'],
        ),
        (
            {"lr_scheduler": "cosine", "lr_scheduler_args": ["timescale=3"]},
            "schedule-args-unknown",
            "lr_scheduler_args",
            [],
        ),
        ({"save_last_n_steps": 5}, "nothing-to-thin", "save_last_n_steps", 0),
        ({"save_last_n_epochs": 5, "save_every_n_epochs": 0}, "nothing-to-thin", "save_last_n_epochs", 0),
        ({"sample_every_n_epochs": 9}, "no-samples", "sample_every_n_epochs", 1),
    ],
)
def test_nonsense_is_told_with_what_mends_it(values, code, option, value):
    finding = found(**values)[code]
    assert (finding.option, finding.value) == (option, value)
    assert code not in found(**values | {option: value})  # and it does


def test_a_warm_up_with_a_constant_rate_says_what_sd_scripts_does_and_what_happens_here():
    finding = found(**LION, lr_warmup_steps=10)["constant-with-warm-up"]
    assert "sd-scripts stops with an error" in finding.message
    assert "warms up all the same" in finding.message
    assert 'lr_scheduler = "constant_with_warmup"' in finding.hint
    assert not finding.stops_training()


def test_prodigy_is_told_of_its_safeguard_for_warm_ups():
    values = {"lr_scheduler": "cosine", "lr_warmup_steps": 0.1}
    finding = found(**values)["prodigy-warm-up"]
    assert isinstance(finding.value, list)
    assert found(**values, optimizer_args=finding.value) == {}
    assert found(**values | LION) == {}


def test_without_the_number_of_steps_nothing_is_said_of_lengths():
    assert "warm-up-too-long" not in found(None, lr_scheduler="cosine", lr_warmup_steps=10_000, **LION)
