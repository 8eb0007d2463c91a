"""How long a step takes: roughly, from data sheets. What was measured here is better: `engine.runs.measured_pace`.

The rough figure is the products of a step over the speed that a GPU reaches. It agrees within a factor of two with the
published seconds of SDXL LoRA trainings that it was held against (tests/plan/test_pace.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from engine.plan.disk import lora_sizes
from engine.plan.gpu_catalogue import like
from engine.plan.gpus import Gpu
from engine.plan.real_batches import Epoch
from engine.plan.settings import Settings
from engine.plan.trained_parts import encodes_ahead, trains_text

Source = Literal["tried", "measured", "rough"]

UNET_TFLOP = 5.98
"""10^12 operations of one forward pass of SDXL's U-Net over a picture of 1024 × 1024 (2.99 × 10^12 multiply-adds)."""
QUADRATIC_TFLOP = 0.75
"""Of these the self-attention, which grows with the square of the pixels: 4 N² d for each of 10 layers of N 4096, d 640
and 60 of N 1024, d 1280."""
UNET_PARAMETERS = 2_567_463_684
TEXT_TFLOP = 0.13  # both text encoders over 77 tokens
VAE_TFLOP = 10.0  # encoding 1024 × 1024 in fp32, counted as so many operations in 16 bits

REACHED_SHARE = 0.35  # of the peak of a data sheet that training reaches: 0.39 on an RTX 4090 (kohya_ss#1288)
TFLOP_A_GB = 0.08  # more operations for each GB that its memory moves no GPU reached: what holds back an L4 or L40S
BATCH_SECONDS = 0.4  # of each batch, whatever its size: thousands of small kernels to launch
FP32_TIMES, NO_BF16_TIMES, COARSE_TIMES = 4.0, 4.0, 1.3  # longer without 16 bits, with imitated bf16, with fp8 or nf4


@dataclass(frozen=True)
class Pace:
    """seconds_per_step: of one optimizer step. tried: in a dry run here. measured: in a training here. rough: from data
    sheets. where: of which run or GPU, for people."""

    seconds_per_step: float
    source: Source
    where: str

    @property
    def in_words(self) -> str:
        """`2.1 s a step, as measured in the run 2026-11-22_153012`."""
        seconds = f"{self.seconds_per_step:.2g}" if self.seconds_per_step < 10 else f"{self.seconds_per_step:.0f}"
        if self.source == "rough":
            return f"about {seconds} s a step, roughly, from the data sheet of {self.where}: half or twice is possible"
        return f"{seconds} s a step, as {self.source} in the run {self.where}"


def rough(settings: Settings, gpu: Gpu, epoch: Epoch | None = None) -> Pace | None:
    """Of full-size SDXL on a GPU; None for one that no data sheet is known of.

    epoch: what is trained, whose steps are of as many pictures as there are of a shape, and of their sizes; None: steps
    as they are asked for.
    """
    card = like(gpu) if gpu.tflops is None else None
    tflops = gpu.tflops or (card.tflops if card is not None else None)
    bandwidth = gpu.bandwidth_gbps or (card.bandwidth_gbps if card is not None else None)
    if tflops is None or bandwidth is None:
        return None
    reached = min(REACHED_SHARE * tflops, TFLOP_A_GB * bandwidth)
    if settings.mixed_precision == "no":
        reached /= FP32_TIMES
    elif settings.mixed_precision == "bf16" and gpu.bf16 is False:
        reached /= NO_BF16_TIMES
    if settings.base_weights != "full":
        reached /= COARSE_TIMES
    batches, work = _step(settings, epoch)
    return Pace(batches * BATCH_SECONDS + work / reached, "rough", gpu.name)


def _step(settings: Settings, epoch: Epoch | None) -> tuple[float, float]:
    """(batches, 10^12 operations) of the mean optimizer step of a process."""
    if epoch is None:
        batches = settings.gradient_accumulation_steps
        return batches, batches * settings.train_batch_size * _picture(settings, settings.size)
    work = sum(count * _picture(settings, size) for size, count in epoch.counts.items())
    return epoch.batches / epoch.steps, work / epoch.processes / epoch.steps


def _picture(settings: Settings, size: tuple[int, int]) -> float:
    """10^12 operations for one picture of (width, height) in one step."""
    area = size[0] * size[1] / 1024**2
    forward = (UNET_TFLOP - QUADRATIC_TFLOP) * area + QUADRATIC_TFLOP * area**2
    passes = 3 if settings.gradient_checkpointing else 2  # there, back, and once more what was not kept
    if settings.diff_output_preservation_multiplier:
        passes *= 2
    work = passes * forward * (1 + lora_sizes(settings, "sdxl").whole / UNET_PARAMETERS)
    if not encodes_ahead(settings):
        work += TEXT_TFLOP * (3 if trains_text(settings) else 1)
    return work + (0 if settings.cache_latents else VAE_TFLOP * area)
