"""The prediction of memory: the LoRA's arithmetic, what the grid of simulations says, and what may never go down."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from engine.plan.disk import lora_sizes
from engine.plan.memory import CORRECTIONS, bill, largest_sample
from engine.plan.memory_step import fitted, stays, unet_bytes
from engine.plan.optimizers import KNOWN
from engine.plan.settings import Settings, resolve

GRID = Path(__file__).parents[2] / "benchmarks" / "memory_grid"
SQUARE = (1024, 1024)
TEXT = {"train_text_encoder_1": True, "train_text_encoder_2": True}


def settings(**changes: Any) -> Settings:
    return resolve(changes)


def peak(bucket: tuple[int, int] = SQUARE, **changes: Any) -> int:
    return bill(settings(**changes), bucket).peak_bytes


@pytest.mark.parametrize(
    ("rank", "everything", "millions", "weights", "adamw", "adamw_8bit", "prodigy", "sliced"),
    [
        (8, False, 21.3, 0.09, 0.17, 0.04, 0.29, 0.18),
        (16, False, 42.6, 0.17, 0.34, 0.09, 0.59, 0.36),
        (32, False, 85.1, 0.34, 0.68, 0.17, 1.18, 0.73),
        (32, True, 114.0, 0.46, 0.91, 0.23, 1.58, 0.97),
        (64, False, 170.2, 0.68, 1.36, 0.34, 2.36, 1.45),
        (96, False, 255.3, 1.02, 2.04, 0.51, 3.53, 2.18),
        (96, True, 342.0, 1.37, 2.74, 0.68, 4.75, 2.92),
        (128, True, 456.1, 1.82, 3.65, 0.91, 6.33, 3.89),
    ],
)
def test_lora_and_optimizer_are_those_of_the_table_of_known_sizes(
    rank: int,
    everything: bool,
    millions: float,
    weights: float,
    adamw: float,
    adamw_8bit: float,
    prodigy: float,
    sliced: float,
) -> None:
    parts = TEXT if everything else {}
    chosen = settings(network_dim=rank, **parts)
    assert lora_sizes(chosen, "sdxl").whole / 1e6 == pytest.approx(millions, abs=0.06)
    kept = stays(chosen)
    assert kept["lora"] / 1e9 == pytest.approx(weights, abs=0.006)
    assert kept["gradients"] == kept["lora"]

    def state(kind: str, **more: Any) -> float:
        return stays(settings(network_dim=rank, optimizer_type=kind, **parts, **more))["optimizer"] / 1e9

    assert state("AdamW") == pytest.approx(adamw, abs=0.006)
    assert state("AdamW8bit") == pytest.approx(adamw_8bit, abs=0.02)  # with its scales, which the table leaves out
    assert state("Prodigy") == pytest.approx(prodigy, abs=0.02)
    assert state("Prodigy", optimizer_args=["slice_p=11"]) == pytest.approx(sliced, abs=0.02)


def test_the_base_model_has_the_bytes_that_were_counted_on_a_real_one() -> None:
    assert unet_bytes(settings()) == 5_134_927_368
    assert unet_bytes(settings(base_weights="fp8")) == 2_576_360_968
    assert unet_bytes(settings(base_weights="nf4")) == pytest.approx(1_499_804_056, rel=0.005)
    assert unet_bytes(settings(mixed_precision="no")) == 2 * 5_134_927_368
    everything = stays(settings(**TEXT, cache_latents=False))
    assert everything["text_encoders"] / 1e9 == pytest.approx(1.64, abs=0.005)
    assert everything["vae"] / 1e9 == pytest.approx(0.33, abs=0.005)
    assert stays(settings())["text_encoders"] == stays(settings())["vae"] == 0


def grid() -> list[tuple[str, dict[str, Any]]]:
    return [(path.stem, json.loads(path.read_text(encoding="utf-8"))) for path in sorted(GRID.glob("*.json"))]


def test_every_simulated_step_is_predicted_within_five_percent() -> None:
    used = {"fit": 0, "check": 0}
    for name, told in grid():
        if told["use"] in used:
            used[told["use"]] += 1
            chosen = settings(**told["settings"])
            predicted = bill(chosen, tuple(told["bucket"])).step_bytes
            assert predicted == pytest.approx(told["counted"]["peak"], rel=0.05), name
    assert used["fit"] <= 60
    assert used["check"] >= 40


def test_what_stays_is_what_was_counted() -> None:
    for name, told in grid():
        if told["use"] not in ("fit", "check"):
            continue
        kept, counted = stays(settings(**told["settings"])), told["counted"]["parts"]
        for part, size in counted.items():
            # an 8-bit optimizer's scalars, and the buffers' filling up to multiples of 16
            assert kept[part] == pytest.approx(size, rel=0.002, abs=100_000), (name, part)


BASE = {"network_dim": 32, "train_batch_size": 2}
EVERY = [
    {},
    {"gradient_checkpointing": False},
    {"mixed_precision": "no"},
    {"base_weights": "fp8"},
    {"base_weights": "nf4", "gradient_checkpointing": False},
    {"optimizer_type": "Adafactor", **TEXT},
    {"optimizer_type": "AdamW8bit", "conv_dim": 8},
    {"cache_latents": False, "cache_text_encoder_outputs": False},
]


@pytest.mark.parametrize("changes", EVERY)
@pytest.mark.parametrize(
    ("option", "values"),
    [
        ("train_batch_size", [1, 2, 3, 4, 8, 16]),
        ("network_dim", [1, 4, 16, 32, 64, 96, 128, 256, 1024]),
        ("conv_dim", [0, 1, 4, 16, 64, 512]),
        ("max_token_length", [75, 150, 225]),
        ("gradient_checkpointing", [True, False]),
        ("cache_latents", [True, False]),
        ("cache_text_encoder_outputs", [True, False]),
        ("train_text_encoder_2", [False, True]),
        ("use_ema", [False, True]),
        ("base_weights", ["nf4", "fp8", "full"]),
        ("mixed_precision", ["bf16", "no"]),
        ("sample_every_n_steps", [0, 250]),
    ],
)
def test_more_never_costs_less(changes: dict[str, Any], option: str, values: list[Any]) -> None:
    bills = [bill(settings(**{**BASE, **changes, option: value}), SQUARE) for value in values]
    for less, more in pairwise(bills):
        assert less.peak_bytes <= more.peak_bytes
        assert less.step_bytes <= more.step_bytes


@pytest.mark.parametrize("changes", EVERY)
def test_larger_pictures_never_cost_less(changes: dict[str, Any]) -> None:
    sides = [(256, 256), (512, 512), (768, 512), (768, 768), (1024, 1024), (1280, 1024), (1280, 1280), (2048, 2048)]
    bills = [bill(settings(**{**BASE, **changes}), side) for side in sides]
    assert bills == sorted(bills, key=lambda one: one.peak_bytes)
    assert bills == sorted(bills, key=lambda one: one.step_bytes)


@pytest.mark.parametrize("kind", [*KNOWN, "torch.optim.SGD"])
def test_the_parts_together_are_the_trainings_peak(kind: str) -> None:
    for changes in EVERY:
        told = bill(settings(**{**BASE, **changes, "optimizer_type": kind}), SQUARE)
        assert list(told.parts) == [
            "unet", "text_encoders", "vae", "lora", "gradients", "optimizer", "activations", "cuda_context", "reserve",
        ]  # fmt: skip
        assert sum(told.parts.values()) == told.phases["training"]
        assert min(told.parts.values()) >= 0
        assert told.peak_bytes == max(told.phases.values())
        assert told.step_bytes == sum(told.parts.values()) - told.parts["cuda_context"] - told.parts["reserve"]


def test_phases_that_do_not_happen_cost_nothing() -> None:
    assert bill(settings(sample_every_n_steps=0), SQUARE).phases["sampling"] == 0
    assert bill(settings(), SQUARE).phases["sampling"] > 0
    for one in (settings(), settings(cache_latents=False)):
        assert bill(one, SQUARE).phases["caching"] > 0


def test_large_samples_cost_by_their_own_size() -> None:
    large = settings(sample_prompts=["a man --w 1536 --h 2048", "a man"])
    assert largest_sample(large) == (1536, 2048)
    assert largest_sample(settings(resolution="768,512")) == (768, 512)
    assert bill(large, SQUARE).phases["sampling"] > bill(settings(), SQUARE).phases["sampling"]
    assert bill(large, SQUARE).phases["training"] == bill(settings(), SQUARE).phases["training"]


def test_a_correction_moves_what_is_expected_and_not_what_is_counted() -> None:
    usual = bill(settings(), SQUARE)
    for given, taken in ((1.1, 1.1), (0.9, 0.9), (100.0, CORRECTIONS[1]), (0.001, CORRECTIONS[0])):
        moved = bill(settings(), SQUARE, correction=given)
        assert moved.peak_bytes == pytest.approx(usual.peak_bytes * taken, rel=1e-6)
        assert moved.step_bytes == usual.step_bytes
        assert sum(moved.parts.values()) == moved.phases["training"]
        assert min(moved.parts.values()) >= 0


def test_a_prediction_reads_its_table_once_and_simulates_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    bill(settings(), SQUARE)
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: pytest.fail("a file was read"))
    monkeypatch.setattr(Path, "read_bytes", lambda *_: pytest.fail("a file was read"))
    assert bill(settings(network_dim=8), SQUARE).peak_bytes < bill(settings(network_dim=64), SQUARE).peak_bytes


def test_no_factor_is_negative() -> None:
    for moments in fitted()["moments"].values():
        for factors in moments.values():
            assert min(factors.values()) >= 0
