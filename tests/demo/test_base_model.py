"""The built-in model keeps its promises: what it ships, and (as a long proof) that it draws what prompts say."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import pytest
from safetensors import safe_open

from engine.demo import descriptions
from engine.demo.pretrain import held_out_pictures, psnr
from engine.models.checkpoint import load
from engine.plan.base_model import recognise

FOLDER = Path(str(files("engine"))) / "demo" / "micro"


def test_it_is_half_precision_safetensors_of_at_most_20_mb_in_diffusers_layout() -> None:
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) <= 20_000_000
    for part in ("unet", "vae", "text_encoder", "text_encoder_2"):
        (weights,) = (FOLDER / part).glob("*.safetensors")
        with safe_open(weights, framework="pt") as file:
            dtypes = {str(file.get_tensor(name).dtype) for name in file.keys()}  # noqa: SIM118
        assert dtypes == {"torch.float16"}
    assert json.loads((FOLDER / "model_index.json").read_text())["_class_name"] == "StableDiffusionXLPipeline"
    assert not [path for path in FOLDER.rglob("*") if path.suffix in (".bin", ".pt", ".ckpt", ".pkl")]


def test_it_declares_its_bucket_step_and_shapes() -> None:
    base = recognise("micro")
    assert base.bucket_reso_steps == 16
    assert base.bucket_shapes == descriptions.SHAPES


def test_its_vae_keeps_pictures_at_26_db_and_more() -> None:
    vae = load(recognise("micro")).vae
    for shape in descriptions.SHAPES:
        assert psnr(vae, held_out_pictures(40, shape)) >= 26


@pytest.mark.proof
def test_it_draws_what_the_prompt_says() -> None:
    from engine.demo.measure import measure

    figures, _, _ = measure(count=128)
    real, made = figures["classifier_on_drawings"], figures["base_model"]
    assert min(real.values()) > 0.97  # the judge itself is right about drawings it has not seen
    assert made["kind"] >= 0.95
    assert min(made[name] for name in ("hair", "shirt", "hat", "scene")) >= 0.8
