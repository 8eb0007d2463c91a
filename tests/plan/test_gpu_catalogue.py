"""The catalogue of GPUs, and which one a name means."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.plan.errors import UserError
from engine.plan.gpu_catalogue import cards, like, named
from engine.plan.gpus import Gpu, gib
from engine.plan.hardware_checks import CODES

GIB = 2**30


def test_every_card_is_plausible_and_named_once() -> None:
    names = [card.name for card in cards()]
    assert len(names) == len(set(names)) > 60
    for card in cards():
        share = card.bytes / (card.gigabytes * GIB)
        assert 0.7 < share <= 1.0, card
        assert (card.capability is not None) == (card.kind == "cuda"), card
        assert 1 < card.tflops < 5000, card
        assert 50 < card.bandwidth_gbps < 10_000, card
        assert named(card.name) == card
    assert not any(card.bf16 for card in cards() if card.model in ("T4", "V100", "P100", "RTX 2060", "RTX 2080 Ti"))


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("RTX 3060 12GB", "RTX 3060 12 GB"),
        ("3060", "RTX 3060 12 GB"),
        ("rtx3060-12", "RTX 3060 12 GB"),
        ("RTX_3060_12G", "RTX 3060 12 GB"),
        ("NVIDIA GeForce RTX 3060", "RTX 3060 12 GB"),
        ("3060 8gb", "RTX 3060 8 GB"),
        ("3060ti", "RTX 3060 Ti 8 GB"),
        ("4070 Ti SUPER", "RTX 4070 Ti Super 16 GB"),
        ("NVIDIA A100-SXM4-80GB", "A100 80 GB"),
        ("NVIDIA A100 80GB PCIe", "A100 80 GB"),
        ("Tesla V100-SXM2-16GB", "V100 16 GB"),
        ("NVIDIA H100 80GB HBM3", "H100 80 GB"),
        ("h100 nvl", "H100 NVL 94 GB"),
        ("NVIDIA H100 NVL", "H100 NVL 94 GB"),
        ("h100-nvl 94gb", "H100 NVL 94 GB"),
        ("NVIDIA H200 NVL", "H200 141 GB"),
        ("NVIDIA RTX 6000 Ada Generation", "RTX 6000 Ada 48 GB"),
        ("NVIDIA RTX PRO 6000 Blackwell Workstation Edition", "RTX PRO 6000 96 GB"),
        ("T4", "T4 16 GB"),
        ("l40s", "L40S 48 GB"),
        ("m2 max 32", "Apple M 32 GB"),
        ("Apple M3 16GB", "Apple M 16 GB"),
    ],
)
def test_spelling_does_not_matter(said: str, meant: str) -> None:
    assert named(said).name == meant


@pytest.mark.parametrize(
    ("said", "code", "answer"),
    [
        ("V100", "which-gpu", "Say V100 16 GB or V100 32 GB."),
        ("a100", "which-gpu", "Say A100 40 GB or A100 80 GB."),
        ("4090 48GB", "unknown-gpu", "Say RTX 4090 24 GB."),
        ("RTX 309", "unknown-gpu", "RTX 3090"),
        ("3060 laptop gpu", "unknown-gpu", "Did you mean RTX 3060"),
        ("3060 laptop gpu", "unknown-gpu", "A laptop's card has a memory of its own: plan for one with as much."),
        ("GTX 1080", "unknown-gpu", "Known are NVIDIA's RTX"),
        ("RX 6800 XT", "unknown-gpu", "take one with as much memory."),
        ("20GB", "which-gpu", "Say which one. With 20 GB there are RTX A4500 20 GB"),
        ("7 GB", "which-gpu", "take one with as much memory."),
        ("", "which-gpu", "lora-tui doctor --gpus"),
        (" ", "which-gpu", "lora-tui doctor --gpus"),
        ("\x1b[2J", "unknown-gpu", "lora-tui doctor --gpus"),
        ("x" * 100_000, "unknown-gpu", "lora-tui doctor --gpus"),
    ],
)
def test_what_is_unclear_is_asked_back_in_one_line(said: str, code: str, answer: str) -> None:
    with pytest.raises(UserError) as refused:
        named(said)
    assert refused.value.code == code
    assert answer in refused.value.hint
    assert "\x1b" not in str(refused.value)
    assert len(str(refused.value)) < 300


def test_a_card_of_this_machine_is_found_by_name_and_memory() -> None:
    assert like(Gpu("NVIDIA GeForce RTX 3060", total_bytes=8 * GIB)).name == "RTX 3060 8 GB"  # type: ignore[union-attr]
    assert like(Gpu("NVIDIA GeForce RTX 4090", total_bytes=48 * GIB)) is None  # rebuilt by somebody
    assert like(Gpu("NVIDIA GeForce RTX 3060 Laptop GPU", total_bytes=6 * GIB)) is None
    assert like(Gpu("NVIDIA A100-SXM4-40GB MIG 1g.5gb", total_bytes=5 * GIB)) is None
    assert like(Gpu("AMD GPU gfx90a")) is None


def test_a_card_of_the_catalogue_is_elsewhere_and_idle() -> None:
    gpu = named("T4").as_gpu()
    assert (gpu.here, gpu.free_bytes, gpu.bf16, gpu.total_bytes) == (False, None, False, 15360 * 2**20)


def test_the_manual_has_every_card() -> None:
    manual = (Path(__file__).parents[2] / "docs" / "machines.md").read_text("utf-8")
    listed = [line for line in manual.partition("## GPUs that can be planned for")[2].splitlines() if "|" in line]
    expected = []
    for card in cards():
        of = (
            f"{card.capability[0]}.{card.capability[1]}"
            if card.capability
            else {"rocm": "ROCm", "mps": "MPS"}[card.kind]
        )
        facts = ("yes" if card.bf16 else "no", f"{card.tflops:g}", f"{card.bandwidth_gbps:g}")
        expected.append(f"| {' | '.join((card.name, gib(card.bytes), of, *facts))} |")
    assert listed[2:] == expected


def test_the_manual_has_every_warning() -> None:
    manual = (Path(__file__).parents[2] / "docs" / "machines.md").read_text("utf-8")
    assert [code for code in CODES if f"`{code}`" not in manual and f"`{code}`es" not in manual] == []
