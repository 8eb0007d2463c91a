"""The optimizers that are known by name: what their classes are, what they take, and which learning rate fits them.

Any other `torch.optim.Optimizer` can be named as module.Class; nothing is known of it here, and nothing imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

PRODIGY_ARGS = ("weight_decay=0.01", "decouple=True", "d0=0.0001", "use_bias_correction=True")
"""The guide's arguments for Prodigy."""

ADAFACTOR_ARGS = ("scale_parameter=False", "relative_step=False", "warmup_init=False")
"""The guide's arguments for Adafactor."""


@dataclass(frozen=True)
class KnownOptimizer:
    """path: its class. arguments: what that takes beside `params` and `lr`. usual_args: where none are given.

    rate: a learning rate to begin with. highest: above it a LoRA comes out burnt. left_over: from here on it is one
    that was left over from Prodigy, and the LoRA would be noise.
    """

    path: str
    arguments: frozenset[str]
    usual_args: tuple[str, ...] = ()
    rate: float = 1e-4
    highest: float = 0.01
    left_over: float = 0.1


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# The arguments are those of prodigyopt 1.1.2, torch 2, bitsandbytes 0.50 and transformers 5.
KNOWN: Mapping[str, KnownOptimizer] = {
    "Prodigy": KnownOptimizer(
        "prodigyopt.prodigy.Prodigy",
        _names(
            "beta3 betas d0 d_coef decouple eps fsdp_in_use growth_rate safeguard_warmup slice_p use_bias_correction "
            "weight_decay"
        ),
        PRODIGY_ARGS,
        rate=1.0,
    ),
    "AdamW": KnownOptimizer(
        "torch.optim.adamw.AdamW",
        _names("amsgrad betas capturable differentiable eps foreach fused maximize weight_decay"),
    ),
    "AdamW8bit": KnownOptimizer(
        "bitsandbytes.optim.adamw.AdamW8bit",
        _names("amsgrad args betas eps is_paged min_8bit_size optim_bits weight_decay"),
    ),
    "Adafactor": KnownOptimizer(
        "transformers.optimization.Adafactor",
        _names("beta1 clip_threshold decay_rate eps relative_step scale_parameter warmup_init weight_decay"),
        ADAFACTOR_ARGS,
    ),
    "Lion": KnownOptimizer(
        "engine.train.lion.Lion",
        _names("betas weight_decay"),
        rate=3e-5,  # three to ten times below AdamW's, as its paper says (Chen et al. 2023, section 5)
        highest=1e-3,
        left_over=0.01,
    ),
}

ON_FLAT_BUFFERS = frozenset({"Prodigy", "AdamW", "Lion", "AdamW8bit"})
"""Those that treat every element alike, or, as Prodigy, sum over all of them: two large tensors give them what 1,400
small ones would. bitsandbytes' 8-bit averages have one scale for 256 elements, which stay the same ones as long as the
layers' sizes are multiples of it, as SDXL's are; and it waits for the GPU after every tensor, here only twice.
Adafactor keeps rows and columns of each matrix, and of other classes nothing is known: they get the single tensors."""

PIECE = 2**25
"""Elements of a flat buffer that an optimizer is given as one tensor, 128 MiB. While it works it holds some tensors of
that size beside its state: of a buffer of rank 96 as a whole that would be a gigabyte."""


def usual_args(optimizer_type: str) -> tuple[str, ...]:
    """What an optimizer is given where nobody says anything."""
    known = KNOWN.get(optimizer_type)
    return known.usual_args if known else ()


def is_class_path(text: str) -> bool:
    """Whether a text reads module.Class."""
    parts = text.split(".")
    return len(parts) > 1 and all(part.isidentifier() for part in parts)
