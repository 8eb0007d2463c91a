"""The text in a LoRA file's header: what A1111, Forge and others read, and our own settings.

Names and spelling are sd-scripts' (`train_network.py`): every value is text, absent is "None", truth is "True". Without
an `ss_base_model_version` that begins with "sdxl_", A1111 hides the file while an SDXL model is loaded. Nothing here
names a path, a user or a token.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.optimizer_class import described
from engine.plan.dataset import Dataset, Picture
from engine.plan.hub_cache import name_of_snapshot
from engine.plan.settings import Settings, to_dict
from engine.plan.trained_parts import rates

ARCHITECTURE = "stable-diffusion-xl-v1-base/lora"
SGM_IMPLEMENTATION = "https://github.com/Stability-AI/generative-models"


@dataclass(frozen=True)
class Progress:
    """Where the training stood when the file was written: epochs completed, steps done; times in Unix seconds."""

    epoch: int
    step: int
    started: float
    finished: float


def _folders(pictures: list[Picture]) -> dict[str, list[Picture]]:
    folders: defaultdict[str, list[Picture]] = defaultdict(list)
    for picture in pictures:
        folders[picture.folder].append(picture)
    return folders


def _dirs(dataset: Dataset, kind: str) -> dict[str, dict[str, int]]:
    """By folder its repeats, as they are before balancing, and its usable pictures, as sd-scripts counts them."""
    there = [p for p in dataset.pictures if p.kind == kind and not (p.left_out or p.validates)]
    counts = Counter(p.folder for p in there)
    return {
        folder.name: {"n_repeats": folder.repeats, "img_count": counts[folder.name]}
        for folder in dataset.folders
        if folder.kind == kind and counts[folder.name]
    }


def _tag_frequency(pictures: list[Picture]) -> dict[str, Counter[str]]:
    """Tags are the caption's comma-separated parts, counted once a picture (not times repeats)."""
    return {
        name: Counter(tag.strip().lower() for p in group for tag in re.split("[,\n]", p.words) if tag.strip())
        for name, group in _folders(pictures).items()
    }


def _bucket_info(dataset: Dataset) -> dict[str, Any]:
    """Sizes with their pictures, repeats counted, and how far on average a bucket's shape is from its pictures'."""
    errors = [abs(p.bucket[0] / p.bucket[1] - p.width / p.height) for p in dataset.used]
    return {
        "buckets": {
            str(number): {"resolution": list(size), "count": count}
            for number, (size, count) in enumerate(sorted(dataset.buckets.items()))
        },
        "mean_img_ar_error": sum(errors) / max(1, len(errors)),
    }


def short_hash(path: Path) -> str | None:
    """A1111's old name for a checkpoint: over 64 KiB at 1 MiB. None for what is no file (a diffusers folder)."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        file.seek(0x100000)
        return hashlib.sha256(file.read(0x10000)).hexdigest()[:8]


def build(
    settings: Settings,
    dataset: Dataset,
    progress: Progress,
    *,
    output_name: str,
    trigger: str,
    session_id: int,
) -> dict[str, str]:
    """All metadata but the hashes, which `weights.write` adds. `settings`: as used, without "auto"."""
    steps = dataset.steps
    width, height = settings.size
    rate: float | None = settings.learning_rate
    schedule: str = settings.schedule
    base, trained = Path(settings.pretrained_model_name_or_path), rates(settings)
    if settings.finds_its_own_rate:  # as sd-scripts spells it
        rate, trained, schedule = None, {}, f"adafactor:{settings.learning_rate}"
    velocity = settings.v_parameterization == "true"
    values: dict[str, Any] = {
        "ss_session_id": session_id,
        "ss_training_started_at": progress.started,
        "ss_training_finished_at": progress.finished,
        "ss_output_name": output_name,
        "ss_training_comment": settings.training_comment or (f"trigger: {trigger}" if trigger else None),
        "ss_steps": progress.step,
        "ss_epoch": progress.epoch,
        "ss_learning_rate": rate,
        "ss_unet_lr": trained.get("unet"),
        "ss_text_encoder_lr": trained.get("text_encoder_1", trained.get("text_encoder_2")),
        "ss_lr_scheduler": schedule,
        "ss_lr_warmup_steps": settings.lr_warmup_steps,
        "ss_optimizer": described(settings.optimizer_type, settings.optimizer_kwargs),
        "ss_max_train_steps": steps.total,
        "ss_num_epochs": steps.epochs,
        "ss_num_batches_per_epoch": steps.batches_per_epoch,
        "ss_gradient_accumulation_steps": settings.gradient_accumulation_steps,
        "ss_gradient_checkpointing": settings.gradient_checkpointing,
        "ss_max_grad_norm": settings.max_grad_norm,
        "ss_num_train_images": steps.num_train_images,
        "ss_num_reg_images": steps.num_reg_images,
        "ss_num_validation_images": len(dataset.validation),
        "ss_validation_split": settings.validation_split,
        "ss_validation_seed": settings.validation_seed if settings.validation_split else None,
        "ss_max_validation_steps": None,
        "ss_validate_every_n_epochs": (settings.validation_split and settings.validate_every_n_epochs) or None,
        "ss_validate_every_n_steps": (settings.validation_split and settings.validate_every_n_steps) or None,
        "ss_dataset_dirs": _dirs(dataset, "train"),
        "ss_reg_dataset_dirs": _dirs(dataset, "reg"),
        "ss_tag_frequency": _tag_frequency(list(dataset.used)),
        "ss_bucket_info": _bucket_info(dataset) if settings.enable_bucket else "null",
        "ss_enable_bucket": settings.enable_bucket,
        "ss_bucket_no_upscale": settings.bucket_no_upscale,
        "ss_min_bucket_reso": settings.min_bucket_reso,
        "ss_max_bucket_reso": settings.max_bucket_reso,
        "ss_resolution": f"({width}, {height})",
        "ss_batch_size_per_device": settings.train_batch_size,
        "ss_total_batch_size": settings.train_batch_size
        * settings.num_processes
        * settings.gradient_accumulation_steps,
        "ss_color_aug": False,
        "ss_flip_aug": settings.flip_aug,
        "ss_random_crop": False,
        "ss_face_crop_aug_range": None,
        "ss_resize_interpolation": None,
        "ss_shuffle_caption": settings.shuffle_caption,
        "ss_keep_tokens": settings.keep_tokens,
        "ss_cache_latents": settings.cache_latents,
        "ss_caption_dropout_rate": settings.caption_dropout_rate,
        "ss_caption_dropout_every_n_epochs": settings.caption_dropout_every_n_epochs,
        "ss_caption_tag_dropout_rate": settings.caption_tag_dropout_rate,
        "ss_base_model_version": "sdxl_base_v1-0",
        "ss_v2": False,
        "ss_sd_model_name": name_of_snapshot(base) or base.name,
        "ss_sd_model_hash": short_hash(base),
        **_vae(settings),
        "ss_clip_skip": None,
        # sd-scripts has None where the option is not given, which means 75.
        "ss_max_token_length": settings.max_token_length if settings.max_token_length != 75 else None,
        "ss_network_module": "networks.lora",
        "ss_network_dim": settings.network_dim,
        "ss_network_alpha": settings.network_alpha,
        "ss_network_dropout": settings.network_dropout or None,
        "ss_mixed_precision": settings.mixed_precision,
        "ss_full_fp16": False,
        "ss_fp8_base": False,
        "ss_fp8_base_unet": settings.base_weights == "fp8",
        "ss_lowram": False,
        "ss_seed": settings.seed,
        "ss_noise_offset": settings.noise_offset or None,
        "ss_noise_offset_random_strength": settings.noise_offset_random_strength,
        "ss_adaptive_noise_scale": settings.adaptive_noise_scale or None,
        "ss_multires_noise_iterations": settings.multires_noise_iterations or None,
        "ss_multires_noise_discount": settings.multires_noise_discount,
        "ss_zero_terminal_snr": settings.zero_terminal_snr == "true",
        "ss_min_snr_gamma": settings.min_snr_gamma or None,
        "ss_debiased_estimation": settings.debiased_estimation_loss,
        "ss_prior_loss_weight": settings.prior_loss_weight,
        "ss_scale_weight_norms": settings.scale_weight_norms or None,
        "ss_ip_noise_gamma": settings.ip_noise_gamma or None,
        "ss_ip_noise_gamma_random_strength": settings.ip_noise_gamma_random_strength,
        "ss_loss_type": settings.loss_type,
        "ss_huber_schedule": settings.huber_schedule,
        "ss_huber_scale": settings.huber_scale,
        "ss_huber_c": settings.huber_c,
        "modelspec.sai_model_spec": "1.0.1",
        "modelspec.architecture": ARCHITECTURE,
        "modelspec.implementation": SGM_IMPLEMENTATION,
        "modelspec.title": output_name,
        "modelspec.resolution": f"{width}x{height}",
        "modelspec.date": time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(progress.finished)),
        "modelspec.prediction_type": "v" if velocity else "epsilon",
        "lora_tui.settings": _own_settings(settings),
    }
    if arguments := _network_arguments(settings):
        values["ss_network_args"] = arguments
    if trigger:
        values["modelspec.trigger_phrase"] = trigger
    if (settings.min_timestep, settings.max_timestep) != (0, 1000):
        values["modelspec.timestep_range"] = f"{settings.min_timestep},{settings.max_timestep}"
    if velocity:  # sd-scripts writes no such key, but there are readers of LoRAs that look for it
        values["ss_v_parameterization"] = True
    return {name: _text(value) for name, value in values.items()}


def _vae(settings: Settings) -> dict[str, str | None]:
    """sd-scripts names a VAE only where one was given."""
    if not settings.vae:
        return {}
    path = Path(settings.vae)
    return {"ss_vae_name": path.name, "ss_vae_hash": short_hash(path)}


def _network_arguments(settings: Settings) -> dict[str, str | None]:
    """What sd-scripts takes as `--network_args`, as text; it adds the dropout of its own option to them."""
    arguments: dict[str, str | None] = {}
    if settings.conv_dim:
        arguments |= {"conv_dim": str(settings.conv_dim), "conv_alpha": f"{settings.conv_alpha:g}"}
    if settings.rank_dropout:
        arguments["rank_dropout"] = f"{settings.rank_dropout:g}"
    if settings.module_dropout:
        arguments["module_dropout"] = f"{settings.module_dropout:g}"
    if arguments:
        arguments["dropout"] = f"{settings.network_dropout:g}" if settings.network_dropout else None
    return arguments


def _own_settings(settings: Settings) -> Mapping[str, object]:
    """The resolved settings, with paths shortened to their last part."""
    own = dict(to_dict(settings))
    for name in ("pretrained_model_name_or_path", "vae", "network_weights"):
        path = Path(getattr(settings, name))
        own[name] = name_of_snapshot(path) or path.name
    return own


def _text(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)
    # A file name that is not UTF-8 reaches us with lone surrogates, which safetensors refuses.
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
