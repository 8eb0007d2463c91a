"""What a project's last training had to do without because memory ran out, kept for the next one and its checks."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from engine.plan.errors import Finding, UserError, inert
from engine.plan.files import atomic_write
from engine.plan.project import Project
from engine.plan.remedy import set_line, set_lines
from engine.plan.settings import Settings, resolve, to_dict
from engine.plan.trained_parts import encodes_ahead, trains_text

FILE = "memory.json"
VERSION = 1
DID_NOT_FIT = "did_not_fit"
"""In place of what it did without: nothing helped."""

ASKED = (
    "train_batch_size", "num_processes", "resolution", "enable_bucket", "bucket_no_upscale", "max_bucket_reso",
    "network_dim", "conv_dim", "train_unet", "train_text_encoder_1", "train_text_encoder_2", "mixed_precision",
    "base_weights", "optimizer_type", "gradient_checkpointing", "attention", "cache_latents",
    "cache_text_encoder_outputs", "diff_output_preservation_multiplier",
)  # fmt: skip
"""Settings that the need for memory goes by: a note holds for those that it was made with, and for those that followed
some of what it advises."""


def keep(project: Project, settings: Settings, taken: Mapping[str, object], device: str) -> None:
    """Note what was `taken` (as events tell it: batch_size, gradient_checkpointing, offload, vae_tile, bucket_limit, or
    DID_NOT_FIT).
    A disk that cannot be written is no error."""
    note = {"v": VERSION, "settings": _asked(settings), "taken": dict(taken), "device": device}
    path = project.path / ".lora-tui" / FILE
    with contextlib.suppress(OSError, UserError):
        path.parent.mkdir(exist_ok=True)
        atomic_write(path, json.dumps(note, ensure_ascii=False, indent=1))


def forget(project: Project, settings: Settings) -> None:
    """A training with these settings came to its end as it was asked to: what was noted of them holds no more."""
    if _note(project, settings) is not None:
        with contextlib.suppress(OSError):
            (project.path / ".lora-tui" / FILE).unlink(missing_ok=True)


def check_memory_note(settings: Settings, project: Project) -> Iterator[Finding]:
    """What the last training with these settings tells the next one, but for what was followed since."""
    for finding in _note(project, settings) or ():
        if finding.option is not None and getattr(settings, finding.option) != finding.value:
            yield finding


def _note(project: Project, settings: Settings) -> list[Finding] | None:
    """What the note of these settings advises; None where there is none, of others, or one that makes no sense."""
    try:
        note = json.loads((project.path / ".lora-tui" / FILE).read_bytes())
        asked, taken = note["settings"], note["taken"]
        if note["v"] != VERSION or not isinstance(taken, dict) or asked.keys() != set(ASKED):
            return None
        now = _asked(settings)
        differ = {name: value for name, value in now.items() if value != asked[name]}
        # What is advised follows from the settings as they were, whichever of it is followed by now.
        before = resolve(to_dict(settings), {name: asked[name] for name in differ}) if differ else settings
        advice = list(_advice(before, taken, note.get("device")))
    except (OSError, ValueError, TypeError, AttributeError, KeyError, RecursionError, UserError):
        return None
    advised = {name: value for finding in advice for name, value in finding.changes.items()}
    return advice if all(name in advised and advised[name] == value for name, value in differ.items()) else None


def _asked(settings: Settings) -> dict[str, Any]:
    return {name: getattr(settings, name) for name in ASKED}


def _advice(settings: Settings, taken: Mapping[str, Any], device: object) -> Iterator[Finding]:
    """The setting that saves each thing that was done without."""
    where = f" on {inert(device, 60)}" if device else ""
    ran_out = f"The last training with these settings ran out of memory{where}"
    if taken.get(DID_NOT_FIT):
        rank = max(1, settings.network_dim // 2)
        yield Finding(
            "memory-did-not-fit",
            f"{ran_out} and could not go on.",
            set_line("network_dim", str(rank)),
            option="network_dim",
            value=rank,
            blocks_training=True,
        )
    if taken.get("batch_size") == 1 and settings.train_batch_size > 1:
        accumulated = settings.train_batch_size * settings.gradient_accumulation_steps
        yield Finding(
            "memory-batch-size",
            f"{ran_out} and went on with one picture at a time. With {accumulated} batches of one to a step it learns "
            "from as many from its first step on.",
            set_lines({"train_batch_size": 1, "gradient_accumulation_steps": accumulated}),
            option="train_batch_size",
            value=1,
            also=(("gradient_accumulation_steps", accumulated),),
        )
    if taken.get("gradient_checkpointing") and not settings.gradient_checkpointing:
        yield Finding(
            "memory-checkpointing",
            f"{ran_out} and went on with gradient checkpointing.",
            set_line("gradient_checkpointing", "true"),
            option="gradient_checkpointing",
            value=True,
        )
    if taken.get("offload") and not encodes_ahead(settings) and not trains_text(settings):
        yield Finding(
            "memory-text-encoders",
            f"{ran_out} and went on with the text encoders off the card.",
            set_line("cache_text_encoder_outputs", "true"),
            option="cache_text_encoder_outputs",
            value=True,
        )
    if (taken.get("offload") or taken.get("vae_tile")) and not settings.cache_latents:
        yield Finding(
            "memory-latents",
            f"{ran_out} and went on with the VAE off the card.",
            set_line("cache_latents", "true"),
            option="cache_latents",
            value=True,
        )
    side = taken.get("bucket_limit")
    if isinstance(side, int) and 0 < side < max(settings.size):
        yield Finding(
            "memory-resolution",
            f"{ran_out} and went on with smaller pictures, of about {side} × {side} pixels. With that resolution from "
            "the first step on all steps learn from the same sizes.",
            set_line("resolution", f'"{side},{side}"'),
            option="resolution",
            value=f"{side},{side}",
        )
