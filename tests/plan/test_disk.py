"""Sizes of files, said before they are written."""

from __future__ import annotations

import shutil
from types import SimpleNamespace

import pytest

from engine.plan.base_model import recognise
from engine.plan.byte_counts import size
from engine.plan.dataset import scan
from engine.plan.disk import check_disk, disk_use
from engine.plan.project import Project
from engine.plan.settings import resolve

MICRO = {"pretrained_model_name_or_path": "micro", "resolution": "64,64", "bucket_reso_steps": 16}


def test_the_guides_lora_and_checkpoints() -> None:
    """255.3 million parameters at rank 96: 511 MB in bf16, and Prodigy keeps about four more values of each."""
    dataset = SimpleNamespace(steps=SimpleNamespace(total=3000), used=(), validation=())
    use = disk_use(resolve(), dataset, SimpleNamespace(size="sdxl"))  # type: ignore[arg-type]
    assert use.lora == 255_344_640 * 2
    assert use.checkpoint == 255_344_640 * 4 * 4 + 1_223_680 * 96 * 4
    assert size(use.checkpoint) == "4.6 GB"
    assert (use.loras, use.checkpoints) == (4, 3)
    assert use.most == 4 * use.lora + 3 * use.checkpoint + use.cache


@pytest.mark.parametrize(
    "values", [{"optimizer_type": "AdamW", "optimizer_args": ()}, {"optimizer_args": ("slice_p=11",)}]
)
def test_other_optimizers_keep_less(values: dict[str, object]) -> None:
    dataset = SimpleNamespace(steps=SimpleNamespace(total=3000), used=(), validation=())
    base = SimpleNamespace(size="sdxl")
    assert disk_use(resolve(values), dataset, base).checkpoint < disk_use(resolve(), dataset, base).checkpoint  # type: ignore[arg-type]


def test_the_cache_of_full_size_sdxl() -> None:
    """A picture of 1024 × 1024 is 128 × 128 × 8 numbers, a caption 77 × 2048 and 1280, each of 4 bytes; the empty
    caption and the sample's prompt are encoded too."""
    pictures = [SimpleNamespace(bucket=(1024, 1024), words=f"zibo, number {number}") for number in range(20)]
    dataset = SimpleNamespace(steps=SimpleNamespace(total=3000), used=pictures[:18], validation=pictures[18:])

    def cache(**values: object) -> int:
        return disk_use(resolve(values), dataset, None).cache  # type: ignore[arg-type]

    latents, texts = 20 * 128 * 128 * 8 * 4, 22 * (77 * 2048 + 1280) * 4
    assert cache() == latents + texts
    assert cache(cache_latents=False) == texts
    assert cache(cache_text_encoder_outputs=False) == latents
    assert cache(flip_aug=True) == latents * 38 // 20 + texts


def test_a_disk_with_too_little_room_is_told(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = resolve(MICRO)
    dataset, base = scan(project, settings), recognise("micro")
    assert not list(check_disk(settings, dataset, base, project))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1_000_000))
    (finding,) = check_disk(settings, dataset, base, project)
    assert finding.code == "disk-space"
    assert "1.0 MB free" in finding.message
    assert not finding.stops_training()


def test_what_would_take_less_is_said_only_where_it_does(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=10_000))
    dataset, base = scan(project, resolve(MICRO)), recognise("micro")

    def told(**values: object) -> tuple[str, str, object, str]:
        (finding,) = check_disk(resolve(MICRO | values), dataset, base, project)
        return finding.option or "", finding.hint, finding.value, finding.message

    many = {"checkpoint_every_n_steps": 1, "max_train_epochs": 1}
    option, hint, value, message = told(**many, keep_last_n_checkpoints=2)
    assert (option, value) == ("keep_last_n_checkpoints", 1)
    assert hint == "Free some space, and keep fewer checkpoints: keep_last_n_checkpoints = 1"
    assert "(3 checkpoints of " in message
    assert " each, 1 LoRA of " in message
    for values in ({**many, "keep_last_n_checkpoints": 1}, {"checkpoint_every_n_steps": 0, "max_train_epochs": 1}):
        option, hint, value, message = told(**values)
        assert (option, value) == ("network_dim", None)
        assert "checkpoints" not in hint
    option, _, value, message = told(checkpoint_every_n_steps=0, max_train_epochs=6, save_every_n_epochs=1)
    assert (option, value) == ("save_last_n_epochs", 1)
    assert ", 6 LoRAs of " in message
    use = disk_use(resolve(MICRO | many | {"keep_last_n_checkpoints": 1}), dataset, base)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=use.most))
    assert told(**many, keep_last_n_checkpoints=2)[1].startswith("Free some space, or keep fewer checkpoints: ")


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 bytes"), (999, "999 bytes"), (511e6, "511 MB"), (4.64e9, "4.6 GB"), (250e9, "250 GB")]
)
def test_sizes_in_words(count: float, text: str) -> None:
    assert size(count) == text
