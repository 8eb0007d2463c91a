"""How much memory of a GPU a training needs, by part and by phase, known before it starts and without a GPU.

`bill` is arithmetic only, far under a millisecond. Where its figures come from, how far off they are: docs/memory.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from engine.plan.errors import UserError
from engine.plan.memory_step import (
    CHUNK_TOKENS,
    FLOAT_BYTES,
    MEGAPIXEL,
    VALUE_BYTES,
    fitted,
    moments,
    stays,
    vae_bytes,
)
from engine.plan.real_batches import Batch, telling
from engine.plan.sample_prompts import SamplePrompt, parse
from engine.plan.settings import Settings
from engine.plan.trained_parts import encodes_ahead

CUDA_CONTEXT_BYTES = 500_000_000
"""What the driver and the libraries' kernels take before the first tensor: 0.3 to 0.6 GB, more on newer cards."""
RESERVE_BYTES, RESERVE_SHARE = 128 * 2**20, 0.08
"""What PyTorch's allocator holds beside what is used: workspaces of cuBLAS and cuDNN, which do not grow, and holes
between tensors that come and go, as a share of these. An allowance, not a measurement."""
CORRECTIONS = (0.75, 1.5)
"""No measurement of other trainings moves a prediction further than this."""


@dataclass(frozen=True)
class Bill:
    """Bytes on the GPU.

    parts: unet, text_encoders, vae, lora (with its average), gradients, optimizer, activations, cuda_context, reserve,
    as they are at the peak of the training; together they are `phases["training"]`. phases: the peak of caching,
    training and sampling, with context and reserve; 0 for one that does not happen. step_bytes: what a simulation of
    the step counts, without context and reserve and without `correction`. peak_bytes: the most of all phases.
    """

    parts: dict[str, int]
    phases: dict[str, int]
    step_bytes: int
    peak_bytes: int


def bill(settings: Settings, bucket: tuple[int, int], *, correction: float = 1.0) -> Bill:
    """What a training of full-size SDXL with these settings needs; `bucket`: the largest (width, height) in pixels.

    correction: measured over predicted peaks on this machine (`engine.runs.memory_seen`), 0.75 to 1.5.
    """
    factor = min(max(correction, CORRECTIONS[0]), CORRECTIONS[1])
    kept, passing = stays(settings), max(moments(settings, bucket).values())
    standing = sum(kept.values())

    def whole(stays_on: int, passes: int) -> int:
        """With what comes on top of every tensor."""
        reserve = RESERVE_BYTES + RESERVE_SHARE * passes
        return round(factor * (stays_on + passes + reserve + CUDA_CONTEXT_BYTES))

    training = whole(standing, passing)
    phases = {
        "caching": whole(*_caching(settings, bucket)),
        "training": training,
        "sampling": max((whole(standing + more, passes) for more, passes in _sampling(settings)), default=0),
    }
    counted = {**kept, "activations": passing, "cuda_context": CUDA_CONTEXT_BYTES}
    # where this machine was seen to need less, nothing says which part it is
    parts = {name: int(size * min(factor, 1.0)) for name, size in counted.items()}
    parts["reserve"] = training - sum(parts.values())
    return Bill(parts, phases, standing + passing, max(phases.values()))


def bill_of(settings: Settings, batches: Iterable[Batch], *, correction: float = 1.0) -> Bill:
    """The same for a training with these batches, at least one, whatever size was asked for. Each phase has its peak in
    one of them: the most pixels need most in a step, the largest picture where pictures are encoded."""
    told = [
        bill(settings.model_copy(update={"train_batch_size": pictures}), bucket, correction=correction)
        for bucket, pictures in telling(batches)
    ]
    phases = {name: max(each.phases[name] for each in told) for name in told[0].phases}
    heaviest = max(told, key=lambda each: each.phases["training"])
    return replace(heaviest, phases=phases, peak_bytes=max(phases.values()))


def draws_samples(settings: Settings) -> bool:
    """Whether pictures are drawn on the way, without anybody asking for one."""
    return bool(settings.sample_every_n_steps or settings.sample_every_n_epochs or settings.sample_at_first)


def _caching(settings: Settings, bucket: tuple[int, int]) -> tuple[int, int]:
    """(what stays, what passes) while captions and pictures are encoded; the U-Net is not on the GPU yet."""
    weights, each = fitted()["weights"], VALUE_BYTES[settings.mixed_precision]
    text, vae = int(weights["text_encoder_elements"] * each), int(weights["vae_bytes"])
    chunks = settings.max_token_length / CHUNK_TOKENS
    captions = (text, int(fitted()["text_bytes_per_chunk"] * chunks * each / 2))
    if not settings.cache_latents:
        return captions
    pictures = (vae + (0 if encodes_ahead(settings) else text), vae_bytes("encode", bucket))
    return max(captions, pictures, key=sum)


def _sampling(settings: Settings) -> list[tuple[int, int]]:
    """(what comes to stay, what passes) on top of the training's, of each part of drawing a sample: the U-Net for a
    picture and what it is to avoid, and the VAE after it; what nobody draws takes nothing."""
    if not draws_samples(settings):
        return []
    width, height = largest_sample(settings)
    one, area, elements = fitted()["sampling"]["no" if settings.mixed_precision == "no" else "half"]
    lora = stays(settings)["gradients"]
    drawing = int(one + area * width * height / MEGAPIXEL + elements * lora / FLOAT_BYTES)
    decoding = vae_bytes("decode", (width, height))
    vae = int(fitted()["weights"]["vae_bytes"]) if settings.cache_latents else 0  # else it is there already
    average = lora if settings.use_ema else 0  # while the average is worn, the LoRA's own weights wait in a copy
    return [(0, drawing + average), (vae, decoding + average)]


def largest_sample(settings: Settings) -> tuple[int, int]:
    """(width, height) of the largest picture that is drawn; prompts in files are taken to be of the training's size."""
    width, height = settings.size
    usual = SamplePrompt("", width, height, 0)
    sizes = [(width, height)]
    for line in settings.sample_prompts:
        try:
            asked = parse(line, usual)
        except UserError:  # it is told elsewhere
            continue
        sizes.append((asked.width, asked.height))
    own = sizes[1:] or sizes
    return max(own, key=lambda size: size[0] * size[1])
