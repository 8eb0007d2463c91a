"""The GPU memory in the wizard: a meter on the settings, a row on the review, and the page behind `g`."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from textual.pilot import Pilot

from engine.plan.gpu_catalogue import named
from engine.plan.gpus import Found, Gpu, MemoryUser
from engine.plan.project import Project
from lora_tui import estimating, expected_time, hardware
from lora_tui.look import Look
from tests.screens.app_test import text
from tests.screens.wizard.driving import drive, press, said

GIB = 2**30


@pytest.fixture(autouse=True)
def no_gpu_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(hardware, "gpus_here", Found)
    monkeypatch.setattr(estimating, "gpus_here", Found)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def full_size(folder: Path) -> Path:
    """The project with the guide's settings and no base model yet, so SDXL is meant."""
    project = Project.open(folder)
    project.settings = {
        "pretrained_model_name_or_path": "",
        "gradient_checkpointing": False,
        "bucket_no_upscale": False,
    }
    project.save()
    return folder


def test_the_practice_model_takes_hardly_any(folder: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "6")
        assert "GPU memory  the practice model takes hardly any" in text(pilot)

    drive(folder, act)


@pytest.mark.parametrize("size", ["small", "wide", "huge"])
def test_the_meter_is_always_there(full_size: Path, size: str) -> None:
    hardware.plan_for(named("RTX 3060 12GB"))

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "6")
        for _ in range(3):  # in each part
            assert "GPU memory" in text(pilot)
            assert "of 12.0 GiB" in text(pilot)
            assert "too much" in text(pilot)
            await press(pilot, "tab")

    drive(full_size, act, size)


def test_without_a_gpu_it_says_what_is_needed(full_size: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "6")
        assert "no GPU here" in text(pilot)
        await press(pilot, "7")
        assert "no GPU to hold it against" in text(pilot)

    drive(full_size, act, "small")


def test_changes_are_made_one_by_one_and_taken_back(full_size: Path) -> None:
    hardware.plan_for(named("RTX 3060 12GB"))

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "6", "g")
        assert "It does not fit" in text(pilot)
        assert "What to change, the least harm first" in text(pilot)
        assert "gradient_checkpointing = true" in text(pilot)
        assert "Disk: LoRAs up to" in text(pilot)
        assert "u take back" not in text(pilot)
        await press(pilot, "enter")
        assert Project.open(full_size).settings.get("gradient_checkpointing") is not False
        assert "u take back" in text(pilot)
        await press(pilot, "u")
        assert Project.open(full_size).settings["gradient_checkpointing"] is False
        assert "It does not fit" in text(pilot)
        await press(pilot, "escape")
        assert "Start from" in text(pilot)

    drive(full_size, act, "small")


def test_a_small_screen_tells_how_many_changes_there_are(full_size: Path) -> None:
    project = Project.open(full_size)
    project.settings |= {"train_batch_size": 4, "cache_latents": False, "optimizer_type": "AdamW", "network_dim": 128}
    project.save()
    hardware.plan_for(named("RTX 3060 8GB"))

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "6", "g")
        count = len(pilot.app.screen.fixes)  # type: ignore[attr-defined]
        assert count > 2
        for place in range(count):
            assert f"the least harm first ({place + 1} of {count}):" in text(pilot)
            assert " ▸ -" in text(pilot)
            await press(pilot, "down")

    drive(full_size, act, "small")


def test_all_changes_make_it_fit(full_size: Path) -> None:
    hardware.plan_for(named("RTX 3060 8GB"))

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "6", "g", "a")
        assert "It fits" in text(pilot)
        await press(pilot, "escape", "7")
        assert "on RTX 3060 8 GB" in text(pilot)
        assert "does not fit" not in text(pilot)

    drive(full_size, act)


def test_what_runs_badly_on_the_gpu_is_sent_to_the_settings(full_size: Path) -> None:
    hardware.plan_for(named("T4"))

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "6", "g", "a", "escape", "g")
        assert "T4 16 GB does not calculate in bf16" in " ".join(text(pilot).split())
        assert said(pilot) == ("!", "What runs badly there is marked on Settings, where m mends it.")

    drive(full_size, act, "small")


def here(monkeypatch: pytest.MonkeyPatch, gpu: Gpu) -> None:
    for module in (hardware, estimating, expected_time):
        monkeypatch.setattr(module, "gpus_here", lambda **_: Found("cuda", (gpu,)))


def set_values(folder: Path, **values: object) -> None:
    project = Project.open(folder)
    project.settings |= values
    project.save()


def test_where_nothing_more_helps_that_is_said(full_size: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here(monkeypatch, Gpu("GTX", "cuda", 2 * GIB, 2 * GIB, (8, 6), bf16=True))
    set_values(
        full_size, train_batch_size=1, optimizer_type="Adafactor", network_dim=8, resolution="512,512",
        base_weights="nf4", gradient_checkpointing=True,
    )  # fmt: skip

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "6", "g")
        mark, words = said(pilot)
        assert mark == "x"
        assert words.startswith("Nothing more helps: a larger GPU is needed. p ")

    drive(full_size, act, "small")


def test_changes_that_will_not_do_are_not_praised(full_size: Path) -> None:
    hardware.plan_for(named("Apple M 8GB"))
    set_values(full_size, network_dim=256, train_text_encoder_1=True, cache_text_encoder_outputs=False)

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "6", "g")
        mark, words = said(pilot)
        assert mark == "x"
        assert words.startswith("Even with all of these it does not fit: a larger GPU is needed. Enter ")

    drive(full_size, act, "small")


def test_without_a_gpu_nothing_is_wrong_on_the_page(full_size: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "6", "g")
        assert said(pilot) == ("ok", "There is no GPU to hold it against. p plans for another GPU.")

    drive(full_size, act, "small")


def test_who_takes_the_memory_is_named_on_the_page_and_the_meter_tells_all_of_it(
    full_size: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = (MemoryUser(1, "ollama", 9 * GIB),)
    here(monkeypatch, Gpu("RTX 3090", "cuda", 24 * GIB, int(8.8 * GIB), (8, 6), bf16=True, users=users))
    set_values(full_size, gradient_checkpointing=True)

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "6")
        assert "of 8.8 GiB free (of 24.0 GiB)" in text(pilot)
        await press(pilot, "g")
        assert "It would fit if nothing else took memory: close ollama (9.0 GiB)." in " ".join(text(pilot).split())

    drive(full_size, act, "small")


def test_the_meter_is_whole_beside_the_explanations_of_a_huge_screen(
    full_size: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here(monkeypatch, Gpu("NVIDIA GeForce RTX 2060", "cuda", 6 * GIB, int(5.4 * GIB), (7, 5), bf16=False))

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "6")
        assert "too much  NVIDIA GeForce RTX 2060 " in text(pilot)

    drive(full_size, act, "huge")


def test_a_small_screen_tells_the_time_and_what_runs_badly_beside_several_changes(
    full_size: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here(monkeypatch, Gpu("Tesla T4", "cuda", 15 * GIB, 8 * GIB, (7, 5), tflops=60, bandwidth_gbps=300, bf16=False))
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=80_000_000_000))
    set_values(full_size, gradient_checkpointing=True, train_batch_size=2)

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "6", "g")
        assert len(pilot.app.screen.fixes) > 1  # type: ignore[attr-defined]
        assert "Better on this GPU: mixed_precision = fp16." in text(pilot)
        assert "steps, roughly, without samples." in text(pilot)

    drive(full_size, act, "small")


def test_another_gpu_is_planned_for_from_here(full_size: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "6", "g", "p", *"4090", "enter")
        assert "RTX 4090 24 GB has 24.0 GiB" in " ".join(text(pilot).split())

    drive(full_size, act, "small")


def test_it_is_told_in_ascii_and_without_colours(full_size: Path) -> None:
    hardware.plan_for(named("RTX 3060 8GB"))

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "6", "g")
        assert text(pilot).isascii()
        assert "It does not fit" in text(pilot)

    drive(full_size, act, "small", Look(ascii_only=True, theme="none"))


def test_review_tells_the_disk_in_full_on_a_small_screen(full_size: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=3_000_000_000))

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "7", *["down"] * 12)
        said = " ".join(text(pilot).split())
        assert "checkpoints 4.6 GB" in said
        assert "only 3.0 GB are free." in said

    drive(full_size, act, "small")
