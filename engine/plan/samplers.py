"""Samplers by the names that people know: sd-scripts' `--sample_sampler`, A1111's and ComfyUI's lists.

Each is a scheduler of diffusers with a few arguments; this is the one place that says which.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec

from engine.plan.errors import UserError

DEFAULT = "euler"
"""What Stability's own configuration of SDXL names. sd-scripts' default is ddim."""


@dataclass(frozen=True)
class KnownSampler:
    """name: as it is stored, sd-scripts' own where it has one. scheduler: diffusers' class, made with `arguments`.
    also: other names. needs: a package that diffusers wants for it and that does not come with lora-tui.
    calls: how often the U-Net is asked at a step (2: at all steps but the last)."""

    name: str
    scheduler: str
    arguments: Mapping[str, object] = field(default_factory=dict)
    also: tuple[str, ...] = ()
    needs: str = ""
    calls: int = 1


_KARRAS: dict[str, object] = {"use_karras_sigmas": True}
# Latents are not limited to ±1, as pixels are; DDIM's own default would cut them there.
_UNCLIPPED: dict[str, object] = {"clip_sample": False, "set_alpha_to_one": False}
_SDE: dict[str, object] = {"algorithm_type": "sde-dpmsolver++"}
# diffusers refuses to walk this one down to no noise at all.
_FIRST_DPM: dict[str, object] = {"algorithm_type": "dpmsolver", "final_sigmas_type": "sigma_min"}
_PLUS: dict[str, object] = {"algorithm_type": "dpmsolver++"}
_WHOLE: dict[str, object] = {"lower_order_final": True}  # diffusers would do it all the same, and complain
_LMS, _DPM2 = "LMSDiscreteScheduler", "KDPM2DiscreteScheduler"
_DPM2_A = "KDPM2AncestralDiscreteScheduler"
_MULTI, _SINGLE = "DPMSolverMultistepScheduler", "DPMSolverSinglestepScheduler"

SAMPLERS: tuple[KnownSampler, ...] = (
    KnownSampler("euler", "EulerDiscreteScheduler", also=("k_euler",)),
    KnownSampler("euler_a", "EulerAncestralDiscreteScheduler", also=("k_euler_a",)),
    KnownSampler("ddim", "DDIMScheduler", _UNCLIPPED),
    KnownSampler("pndm", "PNDMScheduler", {"skip_prk_steps": True, "set_alpha_to_one": False}, ("plms",)),
    KnownSampler("lms", _LMS, also=("k_lms",), needs="scipy"),
    KnownSampler("heun", "HeunDiscreteScheduler", also=("k_heun",), calls=2),
    KnownSampler("dpm_2", _DPM2, also=("k_dpm_2",), calls=2),
    KnownSampler("dpm_2_a", _DPM2_A, also=("k_dpm_2_a",), calls=2),
    KnownSampler("dpmsolver", _MULTI, _FIRST_DPM),
    KnownSampler("dpmsolver++", _MULTI, _PLUS, ("DPM++ 2M",)),
    KnownSampler("dpmsingle", _SINGLE, _WHOLE),
    KnownSampler("DPM++ 2M Karras", _MULTI, _PLUS | _KARRAS, ("dpmsolver++ karras",)),
    KnownSampler("DPM++ 2M SDE", _MULTI, _SDE),
    KnownSampler("DPM++ 2M SDE Karras", _MULTI, _SDE | _KARRAS),
    KnownSampler("DPM++ SDE", _SINGLE, _SDE | _WHOLE),
    KnownSampler("DPM++ SDE Karras", _SINGLE, _SDE | _WHOLE | _KARRAS),
    KnownSampler("DPM2 Karras", _DPM2, _KARRAS, calls=2),
    KnownSampler("DPM2 a Karras", _DPM2_A, _KARRAS, calls=2),
    KnownSampler("LMS Karras", _LMS, _KARRAS, needs="scipy"),
    KnownSampler("UniPC", "UniPCMultistepScheduler", also=("uni_pc_bh2",)),
    KnownSampler("DEIS", "DEISMultistepScheduler"),
)
"""In the order of a form: sd-scripts' names first. Which class and arguments A1111's names mean stands in diffusers'
table of k-diffusion's samplers."""


def find(name: str) -> KnownSampler:
    """The sampler that is meant by `name`, in any case and with blanks, hyphens, underscores or nothing between.

    Raises UserError `unknown-sampler`, naming those that come nearest.
    """
    known = _by_plain_name()
    plain = _plain(name)
    if plain in known:
        return known[plain]
    close = [known[near].name for near in difflib.get_close_matches(plain, known, n=3, cutoff=0.5)]
    raise UserError(
        "unknown-sampler",
        f'There is no sampler "{name[:60]}".',
        f"Known are {', '.join(dict.fromkeys(close)) if close else ', '.join(names())}.",
    )


def names() -> tuple[str, ...]:
    """All of them, as they are stored."""
    return tuple(sampler.name for sampler in SAMPLERS)


def require(sampler: KnownSampler) -> None:
    """Raises UserError `sampler-needs-package` where the package that diffusers wants for it is not installed."""
    if sampler.needs and find_spec(sampler.needs) is None:
        raise UserError(
            "sampler-needs-package",
            f"The sampler {sampler.name} needs the package {sampler.needs}, which is not installed.",
            f"Take another, such as {DEFAULT}, or: pip install {sampler.needs}",
        )


def _by_plain_name() -> dict[str, KnownSampler]:
    return {name: sampler for sampler in SAMPLERS for name in _names_of(sampler)}


def _names_of(sampler: KnownSampler) -> Iterator[str]:
    for name in (sampler.name, *sampler.also):
        yield _plain(name)


def _plain(name: str) -> str:
    """`Euler a`, `euler_a`, `EULER-A` and ComfyUI's `euler_ancestral` are one, as are `DPM++ 2M` and `dpmpp_2m`."""
    letters = "".join(character for character in name.lower() if character not in " \t_-")
    return letters.replace("ancestral", "a").replace("dpmpp", "dpm++")
