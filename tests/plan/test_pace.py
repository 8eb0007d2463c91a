"""How long a step takes, roughly: held against what people published of SDXL LoRA trainings."""

from __future__ import annotations

import pytest

from engine.plan.gpu_catalogue import named
from engine.plan.gpus import Gpu
from engine.plan.pace import Pace, rough
from engine.plan.settings import resolve

PLAIN: dict[str, object] = {"train_batch_size": 1, "network_dim": 32, "gradient_checkpointing": False}
ADAFACTOR: dict[str, object] = {"optimizer_type": "Adafactor", "learning_rate": 1e-4}


@pytest.mark.parametrize(
    ("gpu", "values", "seconds"),
    [
        ("RTX 4090", PLAIN | ADAFACTOR | {"network_dim": 64}, 0.93),  # kohya_ss#1288
        ("RTX 4090", {"train_batch_size": 8, "network_dim": 64}, 3.0),  # kohya_ss#1288
        ("RTX 5090", {"train_batch_size": 8, "network_dim": 32}, 2.9),  # kohya_ss#3096, a 5090 D
        ("RTX 3090 Ti", PLAIN | ADAFACTOR, 1.12),  # sd-scripts#827
    ],
)
def test_it_agrees_within_a_factor_of_two_with_published_seconds(
    gpu: str, values: dict[str, object], seconds: float
) -> None:
    pace = rough(resolve(values), named(gpu).as_gpu())
    assert pace is not None
    assert seconds / 2 < pace.seconds_per_step < seconds * 2


def seconds(gpu: str = "RTX 3090", **values: object) -> float:
    pace = rough(resolve(values), named(gpu).as_gpu())
    assert pace is not None
    return pace.seconds_per_step


def test_what_makes_a_step_longer() -> None:
    usual = seconds()
    assert seconds(train_batch_size=4) > 1.5 * usual
    assert seconds(train_batch_size=1, gradient_accumulation_steps=2) > usual
    assert seconds(gradient_checkpointing=False) < usual
    assert seconds(resolution="768,768") < usual
    assert seconds(base_weights="fp8") > usual
    assert seconds(mixed_precision="no") > 2 * usual
    assert seconds(diff_output_preservation_multiplier=1.0) > usual
    assert seconds(cache_latents=False) > usual
    assert seconds("RTX 4090") < usual < seconds("T4")
    assert seconds("T4") > 2 * seconds("T4", mixed_precision="fp16")


def test_a_card_of_this_machine_is_known_by_its_name() -> None:
    here = Gpu("NVIDIA GeForce RTX 3090", total_bytes=24 * 2**30, capability=(8, 6), bf16=True)
    pace = rough(resolve(), here)
    assert pace is not None
    assert pace.seconds_per_step == pytest.approx(seconds())
    assert "roughly, from the data sheet of NVIDIA GeForce RTX 3090" in pace.in_words
    assert rough(resolve(), Gpu("Voodoo 2")) is None


def test_it_says_where_it_is_from() -> None:
    assert Pace(2.13, "measured", "2026-11-22_153012").in_words == "2.1 s a step, as measured in the run " \
        "2026-11-22_153012"  # fmt: skip
    assert Pace(32.4, "tried", "x").in_words.startswith("32 s a step, as tried")
