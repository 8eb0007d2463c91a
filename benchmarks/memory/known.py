"""Figures that were known before this simulation, and ours beside them; and what the widening of norms adds.

The known ones came from a first simulation of the plain diffusers model under FakeTensorMode: U-Net LoRA, bf16, AdamW.
"""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

from benchmarks.memory import fake_model
from benchmarks.memory.simulate import Counted, simulate_step
from engine.plan.memory import bill
from engine.plan.settings import resolve

GIB = 2**30
KNOWN: tuple[tuple[float, int, dict[str, Any]], ...] = (
    (8.81, 1024, {}),
    (9.27, 1024, {"train_batch_size": 2}),
    (10.43, 1024, {"train_batch_size": 4}),
    (8.63, 512, {}),
    (14.59, 1024, {"gradient_checkpointing": False}),
    (5.91, 1024, {"network_dim": 16}),
)
"""Peak in GiB, side of the pictures, and what differs from rank 96, batch 1, checkpointing."""


def print_known() -> None:
    print("GiB: known, simulated with half-precision norms, simulated as CUDA does it, predicted (without context)")
    for known, side, changes in KNOWN:
        settings = resolve({"network_dim": 96, "train_batch_size": 1, "optimizer_type": "AdamW", **changes})
        ours = simulate_step(settings, (side, side))
        with patch.object(fake_model, "_widened", lambda *tensors: tensors):
            narrow = simulate_step(settings, (side, side))
        predicted = bill(settings, (side, side)).step_bytes
        figures = (known, narrow.peak / GIB, ours.peak / GIB, predicted / GIB)
        print(" ".join(f"{figure:7.2f}" for figure in figures), f"  {side} {changes}", flush=True)
        assert weights_and_lora(ours) > 0
    print(f"weights and LoRA at rank 96: {weights_and_lora(simulate_step(resolve({}), (256, 256))) / GIB:.2f} (known: 5.73)")


def weights_and_lora(counted: Counted) -> int:
    return counted.parts["unet"] + counted.parts["lora"]


EIGHT_BIT = {"optimizer_type": "AdamW8bit", "train_batch_size": 1, "sample_every_n_steps": 0}
NOTHING_CACHED = {"cache_latents": False, "cache_text_encoder_outputs": False}
PUBLISHED: tuple[tuple[str, str, int, dict[str, Any]], ...] = (
    ("8 possible, 10 recommended", "sd-scripts' docs: rank 4 to 8, 8-bit, caches", 1024, {**EIGHT_BIT, "network_dim": 8}),
    ("4.4", "sd-scripts PR#1057: fp8 base, caches", 1024, {**EIGHT_BIT, "network_dim": 8, "base_weights": "fp8"}),
    (
        "6.x",
        "the same without caches",
        1024,
        {**EIGHT_BIT, "network_dim": 8, "base_weights": "fp8", **NOTHING_CACHED},
    ),
    ("about 8", "OneTrainer#776: its LoRA preset, fp16", 1024, {"network_dim": 16, "optimizer_type": "AdamW",
     "train_batch_size": 1, "mixed_precision": "fp16", "sample_every_n_steps": 0}),
    ("under 16", "diffusers' README: 8-bit, fp16", 1024, {**EIGHT_BIT, "network_dim": 16, "mixed_precision": "fp16",
     **NOTHING_CACHED}),
    ("18.2", "kohya_ss#3096: batch 8", 1024, {**EIGHT_BIT, "network_dim": 32, "train_batch_size": 8}),
    ("about 13", "kohya_ss#2315: batch 3 at 1280", 1280, {**EIGHT_BIT, "network_dim": 32, "train_batch_size": 3}),
    ("7.6", 'ComfyUI-Realtime-LoRA#22: batch 4, "low VRAM"', 1024, {**EIGHT_BIT, "network_dim": 16,
     "train_batch_size": 4}),
    ("over 32", "the same, plain", 1024, {**EIGHT_BIT, "network_dim": 16, "train_batch_size": 4,
     "gradient_checkpointing": False}),
    ("14.6 before activations", "semantics: the guide's run, all trained, nothing cached", 1024, {
     "network_dim": 96, "train_text_encoder_1": True, "train_text_encoder_2": True, **NOTHING_CACHED}),
)  # fmt: skip
"""GB as people wrote them, who and what, side of the pictures, and our settings that come nearest; what they did not say
is guessed."""


def print_published() -> None:
    print("GiB: predicted in all, of it in the step; published")
    for published, who, side, changes in PUBLISHED:
        told = bill(resolve(changes), (side, side))
        training = told.phases["training"]
        print(f"{training / GIB:6.1f} {told.step_bytes / GIB:6.1f}   {published:<28} {who}")


USUAL: tuple[tuple[str, dict[str, Any]], ...] = (
    ("the guide's (rank 96, Prodigy, batch 2)", {}),
    ("  batch 1", {"train_batch_size": 1}),
    ("  AdamW8bit", {"optimizer_type": "AdamW8bit"}),
    ("  Adafactor", {"optimizer_type": "Adafactor"}),
    ("  without gradient checkpointing", {"gradient_checkpointing": False}),
    ("  text encoders trained too", {"train_text_encoder_1": True, "train_text_encoder_2": True}),
    ("  nothing cached", NOTHING_CACHED),
    ("rank 32, AdamW8bit, batch 1", {"network_dim": 32, "optimizer_type": "AdamW8bit", "train_batch_size": 1}),
    ("  base_weights fp8", {"network_dim": 32, "optimizer_type": "AdamW8bit", "train_batch_size": 1, "base_weights": "fp8"}),
    ("  base_weights nf4", {"network_dim": 32, "optimizer_type": "AdamW8bit", "train_batch_size": 1, "base_weights": "nf4"}),
)  # fmt: skip


def print_table() -> None:
    print("GiB at 1024 x 1024")
    print("| settings | caching | training | sampling | of training: what stays | activations |")
    print("|---|---|---|---|---|---|")
    for name, changes in USUAL:
        told = bill(resolve(changes), (1024, 1024))
        stays = told.step_bytes - told.parts["activations"]
        figures = (*told.phases.values(), stays, told.parts["activations"])
        print(f"| {name} | " + " | ".join(f"{figure / GIB:.1f}" for figure in figures) + " |")
