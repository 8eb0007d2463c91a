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
    kept = weights_and_lora(simulate_step(resolve({}), (256, 256)))
    print(f"weights and LoRA at rank 96: {kept / GIB:.2f} (known: 5.73)")


def weights_and_lora(counted: Counted) -> int:
    return counted.parts["unet"] + counted.parts["lora"]


EIGHT_BIT = {"optimizer_type": "AdamW8bit", "train_batch_size": 1, "sample_every_n_steps": 0}
SMALL = {**EIGHT_BIT, "network_dim": 8}
MIDDLE = {**EIGHT_BIT, "network_dim": 32}
USUAL_RANK = {**EIGHT_BIT, "network_dim": 16}
FP16 = {"mixed_precision": "fp16"}
FP8 = {"base_weights": "fp8"}
TEXT = {"train_text_encoder_1": True, "train_text_encoder_2": True}
NOTHING_CACHED = {"cache_latents": False, "cache_text_encoder_outputs": False}
PUBLISHED: tuple[tuple[str, str, int, dict[str, Any]], ...] = (
    ("8 possible, 10 recommended", "sd-scripts' docs: rank 4 to 8, 8-bit, caches", 1024, SMALL),
    ("4.4", "sd-scripts PR#1057: fp8 base, caches", 1024, {**SMALL, **FP8}),
    ("6.x", "the same without caches", 1024, {**SMALL, **FP8, **NOTHING_CACHED}),
    ("about 8", "OneTrainer#776: its LoRA preset, fp16", 1024, {**USUAL_RANK, **FP16, "optimizer_type": "AdamW"}),
    ("under 16", "diffusers' README: 8-bit, fp16", 1024, {**USUAL_RANK, **FP16, **NOTHING_CACHED}),
    ("18.2", "kohya_ss#3096: batch 8", 1024, {**MIDDLE, "train_batch_size": 8}),
    ("about 13", "kohya_ss#2315: batch 3 at 1280", 1280, {**MIDDLE, "train_batch_size": 3}),
    ("7.6", "ComfyUI-Realtime-LoRA#22: batch 4, low VRAM", 1024, {**USUAL_RANK, "train_batch_size": 4}),
    (
        "over 32",
        "the same, plain",
        1024,
        {**USUAL_RANK, "train_batch_size": 4, "gradient_checkpointing": False},
    ),
    ("14.6 GB before activations", "the guide's run: everything trained", 1024, {**TEXT, **NOTHING_CACHED}),
)
"""GB as people wrote them, who and what, side of the pictures, and our settings that come nearest; what they did not
say is guessed."""


def print_published() -> None:
    print("GiB: predicted for the training, of it in the step; published")
    for published, who, side, changes in PUBLISHED:
        told = bill(resolve(changes), (side, side))
        print(f"{told.phases['training'] / GIB:6.1f} {told.step_bytes / GIB:6.1f}   {published:<28} {who}")


ONE_OF_RANK_32 = {"network_dim": 32, "optimizer_type": "AdamW8bit", "train_batch_size": 1}
USUAL: tuple[tuple[str, dict[str, Any]], ...] = (
    ("the guide's (rank 96, Prodigy, batch 2)", {}),
    ("  batch 1", {"train_batch_size": 1}),
    ("  AdamW8bit", {"optimizer_type": "AdamW8bit"}),
    ("  Adafactor", {"optimizer_type": "Adafactor"}),
    ("  without gradient checkpointing", {"gradient_checkpointing": False}),
    ("  text encoders trained too", TEXT),
    ("  nothing cached", NOTHING_CACHED),
    ("rank 32, AdamW8bit, batch 1", ONE_OF_RANK_32),
    ("  base_weights fp8", {**ONE_OF_RANK_32, **FP8}),
    ("  base_weights nf4", {**ONE_OF_RANK_32, "base_weights": "nf4"}),
    ("  base_weights nf4, 768 x 768", {**ONE_OF_RANK_32, "base_weights": "nf4", "resolution": "768,768"}),
)


def print_table() -> None:
    print("| settings (1024 x 1024) | caching | training | sampling | of training: what stays | activations |")
    print("|---|---|---|---|---|---|")
    for name, changes in USUAL:
        settings = resolve(changes)
        told = bill(settings, settings.size)
        stays = told.step_bytes - told.parts["activations"]
        figures = (*told.phases.values(), stays, told.parts["activations"])
        print(f"| {name} | " + " | ".join(f"{figure / GIB:.1f}" for figure in figures) + " |")
