"""What a project's last training had to do without because memory ran out, kept for the next one and its checks."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from engine.plan.errors import Finding, UserError, inert
from engine.plan.files import atomic_write
from engine.plan.gpus import Gpu, device_name
from engine.plan.project import Project
from engine.plan.remedy import set_line, set_lines
from engine.plan.settings import Settings, resolve, to_dict
from engine.plan.trained_parts import encodes_ahead, trains_text

FILE = "memory.json"
VERSION = 1
DID_NOT_FIT = "did_not_fit"
"""In place of what it did without: nothing helped."""

SAME_SHARE = 0.1
"""Of its memory, by which another card may have more or less and hold the same: PyTorch and drivers do not count alike
either."""

ONE_MORE_WAY = "allow_smaller_buckets"
ASKED = (
    "train_batch_size", "num_processes", "resolution", "enable_bucket", "bucket_no_upscale", "bucket_reso_steps",
    "min_bucket_reso", "max_bucket_reso", "network_dim", "conv_dim", "network_dropout", "rank_dropout",
    "module_dropout", "use_ema", "scale_weight_norms", "train_unet", "train_text_encoder_1", "train_text_encoder_2",
    "mixed_precision", "base_weights", "optimizer_type", "optimizer_args", "gradient_checkpointing", "attention",
    "cache_latents", "cache_text_encoder_outputs", "max_token_length", "diff_output_preservation_multiplier",
    ONE_MORE_WAY,
)  # fmt: skip
"""Settings that the need for memory goes by: a note holds for those that it was made with, and for those that followed
some of what it advises."""

Note = Mapping[str, Any]


def keep(
    project: Project, settings: Settings, taken: Mapping[str, object], device: str, total_bytes: int | None = None
) -> None:
    """Note what was `taken` (as events tell it: batch_size, gradient_checkpointing, offload, vae_tile, bucket_limit, or
    DID_NOT_FIT) on `device`, which has so many bytes.
    A disk that cannot be written is no error."""
    where = {"device": device, "total_bytes": total_bytes}
    note = {"v": VERSION, "settings": _asked(settings), "taken": dict(taken), **where}
    path = project.path / ".lora-tui" / FILE
    with contextlib.suppress(OSError, UserError):
        path.parent.mkdir(exist_ok=True)
        atomic_write(path, json.dumps(note, ensure_ascii=False, indent=1))


def forget(project: Project, settings: Settings, device: str = "") -> None:
    """A training with these settings came to its end as it was asked to: what was noted of them holds no more. What was
    noted on another kind of card than `device` ("" for any) stays."""
    note = _read(project)
    if _advised(note, settings) is None or (device and device_name(device) != device_name(str(note.get("device")))):
        return
    with contextlib.suppress(OSError):
        (project.path / ".lora-tui" / FILE).unlink(missing_ok=True)


def check_memory_note(settings: Settings, project: Project, gpus: Sequence[Gpu] | None = None) -> Iterator[Finding]:
    """What the last training with these settings tells the next one, but for what was followed since.

    gpus: those that the next one is for, none for the processor; None where nobody knows. A note of another kind of
    card stops nothing, and says nothing where they have clearly more memory.
    """
    note = _read(project)
    same = gpus is None or _same_kind(note, gpus)
    if gpus and not same and all(_share(note, gpu) > 1 + SAME_SHARE for gpu in gpus):
        return
    for finding in _advised(note, settings) or ():
        if finding.option is not None and getattr(settings, finding.option) != finding.value:
            yield finding if same else replace(finding, blocks_training=False)


def _same_kind(note: Note, gpus: Sequence[Gpu]) -> bool:
    """Whether the note was made on such a card, or on one that has about as much memory."""
    device = str(note.get("device"))
    if not gpus:
        return device_name(device) == "CPU"
    shares = {gpu: _share(note, gpu) for gpu in gpus}
    return any(abs(share - 1) <= SAME_SHARE if share else gpu.is_device(device) for gpu, share in shares.items())


def _share(note: Note, gpu: Gpu) -> float:
    """The memory of `gpu` over that of the card of the note; 0 where nobody knows."""
    total = note.get("total_bytes")
    return (gpu.total_bytes or 0) / total if type(total) is int and total > 0 else 0.0


def _read(project: Project) -> Note:
    """Empty where there is no note, or nothing that can be read."""
    try:
        note = json.loads((project.path / ".lora-tui" / FILE).read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return note if isinstance(note, dict) else {}


def _advised(note: Note, settings: Settings) -> list[Finding] | None:
    """What the note advises for these settings; None where it is of others, or makes no sense."""
    try:
        asked, taken = note["settings"], note["taken"]
        if note["v"] != VERSION or not isinstance(taken, dict) or asked.keys() != set(ASKED):
            return None
        now = _asked(settings)
        differ = {name: value for name, value in now.items() if value != asked[name]}
        allowed_since = differ.pop(ONE_MORE_WAY, None) is True
        # What is advised follows from the settings as they were, whichever of it is followed by now.
        before = resolve(to_dict(settings), {name: asked[name] for name in differ}) if differ else settings
        advice = list(_advice(before, taken, note.get("device"), allowed_since))
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError, UserError):
        return None
    advised = {name: value for finding in advice for name, value in finding.changes.items()}
    return advice if all(name in advised and advised[name] == value for name, value in differ.items()) else None


def _asked(settings: Settings) -> dict[str, Any]:
    values = to_dict(settings)
    return {name: values[name] for name in ASKED}


def _advice(settings: Settings, taken: Mapping[str, Any], device: object, allowed_since: bool) -> Iterator[Finding]:
    """The setting that saves each thing that was done without. allowed_since: there is one more way out now, so that
    nobody knows whether it can go on."""
    where = f" on {inert(device, 60)}" if device else ""
    ran_out = f"The last training with these settings ran out of memory{where}"
    if taken.get(DID_NOT_FIT) and not allowed_since:
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
            f"{ran_out} and went on with one picture at a time. With {accumulated} batches of one to a step it does so "
            "from its first step on; where batches were not full, as few pictures have a shape, an epoch has fewer "
            "steps then.",
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
