"""The inspection job: what is in a LoRA file, and what would go wrong with it."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import torch

from engine.context import JobContext
from engine.lora import weights
from engine.lora.spellings import kind_of, plainly
from engine.lora.targets import PREFIXES
from engine.lora.weights import LoraFile
from engine.plan.errors import few, plural
from engine.plan.trained_parts import Part

SHORT: dict[str, Part] = {"unet": "unet", "te1": "text_encoder_1", "te2": "text_encoder_2"}
"""What `inspect --json` calls the parts."""


def run(context: JobContext) -> dict[str, Any]:
    """Arguments of the job: `lora`, the path of the file."""
    context.announce("CPU")
    with context.phase("reading the LoRA"):
        file = weights.read(Path(context.job.arguments["lora"]))
    plain = plainly(file)
    stems = plain.stems
    with context.phase("measuring its layers", len(stems), "layers") as progress:
        norms = []
        for number, stem in enumerate(stems, start=1):
            norms.append({"module": stem, "norm": module_norm(plain, stem)})
            progress(number)
    found = report(file, plain, norms)
    ranks = f"rank {found['rank']}" if found["rank"] else ""
    if found["conv_rank"]:
        ranks += f"{', ' if ranks else ''}rank {found['conv_rank']} of convolutions"
    layers = f"{plural(len(norms), 'layer')}, {ranks or 'no rank'}, alpha {found['alpha'] or 'missing'}"
    if not norms:
        layers = "No layers that are named as sd-scripts names them"
    found["message"] = f"{layers}, {plural(len(found['problems']), 'problem')}."
    return found | {"complete": True}


def module_norm(file: LoraFile, stem: str) -> float | None:
    """‖alpha/rank · up·down‖_F of one module, through its Gram matrices; None where that is no number."""
    if not _fits(file, stem):
        return None
    down = file.tensors[f"{stem}.lora_down.weight"].float().flatten(1)
    up = file.tensors[f"{stem}.lora_up.weight"].float().flatten(1)
    norm = _strength(file, stem) * float(((up.T @ up) * (down @ down.T)).sum().clamp(min=0).sqrt())
    return norm if math.isfinite(norm) else None


def _fits(file: LoraFile, stem: str) -> bool:
    """Whether a module has an up and a down that can be multiplied, and an alpha that is one number or missing."""
    down, up = (file.tensors.get(f"{stem}.lora_{part}.weight") for part in ("down", "up"))
    alpha = file.tensors.get(f"{stem}.alpha")
    if down is None or up is None or min(down.ndim, up.ndim) < 2 or not down.numel():
        return False
    return up.flatten(1).shape[1] == down.shape[0] and (alpha is None or alpha.numel() == 1)


def _finite(tensor: torch.Tensor) -> bool:
    wide = tensor.float() if tensor.dtype.itemsize == 1 else tensor  # of 8 bits torch asks nothing
    return bool(torch.isfinite(wide).all())


def report(file: LoraFile, plain: LoraFile, norms: list[dict[str, Any]]) -> dict[str, Any]:
    """The facts of a file as `inspect --json` prints them; `plain`: its layers as `plainly` has them. `norms` are
    sorted, the strongest first."""
    stems = plain.stems or sorted({name.split(".", 1)[0] for name in file.tensors})  # of LoHa, LoKr and the like
    modules = {name: sum(s.startswith(PREFIXES[part]) for s in stems) for name, part in SHORT.items()}
    rank, conv_rank = _ranks(plain)
    return {
        "format": format_of(file),
        "rank": rank,
        "conv_rank": conv_rank,
        "alpha": weights.alpha_of(plain) if plain.stems else None,
        "modules": modules,
        "norms": sorted(norms, key=lambda n: -(n["norm"] or 0.0)),
        "metadata": dict(file.metadata),
        "problems": problems(file, plain, modules, norms),
    }


def format_of(file: LoraFile) -> str:
    """Whose naming the file follows; `LoCon` for sd-scripts' with convolutions larger than 1x1 among its layers."""
    names = list(file.tensors)
    if kind := kind_of(names):
        return kind
    if file.stems:
        return "LoCon" if any(_is_conv(file, stem) for stem in file.stems) else "kohya"
    if any(".lora_A." in n for n in names):
        return "diffusers" if any(n.startswith(("unet.", "text_encoder")) for n in names) else "PEFT"
    if any(".lora.down." in n or "_lora.down" in n or ".lora_linear_layer.down." in n for n in names):
        return "diffusers (old)"
    return "unknown"


def _is_conv(file: LoraFile, stem: str) -> bool:
    """Whether a layer is a convolution larger than 1x1, which sd-scripts gives `conv_dim`."""
    return any(side > 1 for side in file.tensors[f"{stem}.lora_down.weight"].shape[2:])


def _ranks(plain: LoraFile) -> tuple[int | None, int | None]:
    """The largest rank of the layers that are no convolutions larger than 1x1, and of those that are."""
    ranks: dict[bool, list[int]] = {False: [], True: []}
    for stem in plain.stems:
        if (down := plain.tensors[f"{stem}.lora_down.weight"]).ndim:
            ranks[_is_conv(plain, stem)].append(int(down.shape[0]))
    return max(ranks[False], default=None), max(ranks[True], default=None)


def other_model(plain: LoraFile) -> str:
    """Which other model a LoRA's layers belong to, by their names and by how wide the texts are that they look at; ""
    for SDXL and for what cannot be told."""
    if any(re.match(r"lora_unet_(double|single)_blocks_|lora_transformer_", stem) for stem in plain.stems):
        return "Flux or another transformer"
    widths = {plain.tensors[f"{s}.lora_down.weight"].shape[-1:] for s in plain.stems if s.endswith("attn2_to_k")}
    for width, name in ((768, "Stable Diffusion 1.5"), (1024, "Stable Diffusion 2")):
        if widths == {torch.Size([width])}:
            return name
    return "Stable Diffusion 1.5 or 2" if any(s.startswith("lora_te_") for s in plain.stems) else ""


def _strength(plain: LoraFile, stem: str) -> float:
    """|alpha| / rank of a layer whose parts fit together; 1 where it does not say."""
    alpha, down = plain.tensors.get(f"{stem}.alpha"), plain.tensors[f"{stem}.lora_down.weight"]
    return 1.0 if alpha is None else abs(float(alpha)) / down.shape[0]


def problems(
    file: LoraFile, plain: LoraFile, modules: dict[str, int], norms: list[dict[str, Any]]
) -> list[dict[str, str]]:
    """What other programs would stumble over, each with code, message and hint."""
    found: list[dict[str, str]] = []

    def add(code: str, message: str, hint: str) -> None:
        found.append({"code": code, "message": message, "hint": hint})

    kind = format_of(file)
    if kind_of(file.tensors):
        add("other-kind", f"It is {kind}, not a plain LoRA.", "Here it can be neither compared nor started from.")
    elif kind not in ("kohya", "LoCon"):
        add(
            "not-kohya",
            f"The layers are named the {kind} way.",
            "A1111 and sd-scripts load none of them; convert the file.",
        )
    stems = file.stems
    without_alpha = [s for s in stems if f"{s}.alpha" not in file.tensors]
    if without_alpha:
        add(
            "no-alpha",
            f"{len(without_alpha)} layers have no alpha.",
            "Programs will use the wrong strength; save it again with alpha.",
        )
    without_up = [s for s in stems if f"{s}.lora_up.weight" not in file.tensors]
    if without_up:
        add("no-up", f"{len(without_up)} layers have no lora_up.", "The file is incomplete; save it again.")
    unfitting = [s for s in stems if s not in without_up and not _fits(file, s)]
    if unfitting:
        add(
            "shapes",
            f"{len(unfitting)} layers hold parts that do not fit together: {few(unfitting)}.",
            "The file is damaged; use another copy.",
        )
    if any(s.startswith("lora_te1_encoder_") for s in stems):
        add(
            "te1-names",
            "The first text encoder's layers lack text_model in their names.",
            "Most programs will ignore them.",
        )
    if other := other_model(plain):
        add("other-model", f"Its layers are those of {other}, not of SDXL.", "This LoRA is for another model.")
    elif kind == "kohya" and not any(modules.values()):
        add("not-sdxl", "No layer is named as SDXL's are.", "This LoRA is for another model.")
    loud = [strength for s in plain.stems if _fits(plain, s) and (strength := _strength(plain, s)) > 1]
    if loud:
        add(
            "alpha-above-rank",
            f"alpha is above the rank in {len(loud)} layers, which multiplies them by up to {max(loud):g}.",
            "Use it at a lower weight.",
        )
    broken = [n for n, t in file.tensors.items() if t.is_floating_point() and not _finite(t)]
    if broken:
        add(
            "not-finite",
            f"{len(broken)} tensors hold values that are not numbers.",
            "Training went wrong; use an earlier epoch.",
        )
    if norms and all(n["norm"] == 0 for n in norms):
        add("empty", "All its changes are zero.", "It learned nothing: pictures will be those of the base model.")
    version = file.metadata.get("ss_base_model_version")
    if file.metadata and not (version or "").startswith("sdxl_"):
        add(
            "hidden",
            "ss_base_model_version does not begin with sdxl_.",
            "A1111 hides the file while an SDXL model is loaded.",
        )
    return found
