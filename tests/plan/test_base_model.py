"""A wrong base model is refused at once, by what it is."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

from engine.plan import base_model
from engine.plan.base_model import recognise
from engine.plan.errors import UserError
from engine.plan.hub_cache import name_of_snapshot

UNET = "model.diffusion_model."
PARTS = {
    "first_stage_model.encoder.conv_in.weight": ("F16", (2, 3, 3, 3)),
    "conditioner.embedders.0.transformer.text_model.embeddings.token_embedding.weight": ("F16", (4, 2)),
    "conditioner.embedders.1.model.transformer.resblocks.0.ln_1.weight": ("F16", (2,)),
}
DEEP = {UNET + "input_blocks.8.1.transformer_blocks.9.norm1.weight": ("F16", (2,))}


def first(outputs: int = 320, inputs: int = 4):
    return {UNET + "input_blocks.0.0.weight": ("F16", (outputs, inputs, 3, 3))}


SDXL = first() | DEEP | PARTS


def refusal(path: str | Path) -> UserError:
    with pytest.raises(UserError) as caught:
        recognise(path)
    return caught.value


def test_an_sdxl_single_file_is_recognised(tmp_path, safetensors_file):
    base = recognise(safetensors_file(tmp_path / "model.safetensors", SDXL))
    assert (base.kind, base.size, base.prediction_type) == ("single-file", "sdxl", "epsilon")
    assert base.bucket_reso_steps == 32
    assert base.path.is_absolute()


def test_a_practice_model_in_one_file_is_recognised(tmp_path, safetensors_file):
    base = recognise(safetensors_file(tmp_path / "model.safetensors", first(32) | PARTS))
    assert (base.size, base.bucket_reso_steps) == ("micro", 16)


def test_a_diffusers_folder_is_recognised(sdxl_folder):
    base = recognise(sdxl_folder)
    assert (base.kind, base.size, base.bucket_reso_steps, base.variant) == ("diffusers-folder", "sdxl", 32, "")


def test_a_diffusers_folder_may_hold_half_precision_or_shards(sdxl_folder, safetensors_file):
    for file in sdxl_folder.rglob("*.safetensors"):
        file.rename(file.with_name(file.stem + ".fp16.safetensors"))
    assert recognise(sdxl_folder).variant == "fp16"
    unet = sdxl_folder / "unet"
    (unet / "diffusion_pytorch_model.fp16.safetensors").rename(unet / "part-1.safetensors")
    index = unet / "diffusion_pytorch_model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"weight": "part-1.safetensors"}}), encoding="utf-8")
    assert recognise(sdxl_folder).variant == ""
    index.write_text(json.dumps({"weight_map": {"weight": "part-2.safetensors"}}), encoding="utf-8")
    assert refusal(sdxl_folder).code == "not-readable"


def test_a_practice_folder_says_its_own_bucket_step(sdxl_folder):
    config = {"in_channels": 4, "block_out_channels": [32, 64, 128]}
    (sdxl_folder / "unet" / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (sdxl_folder / "lora_tui.json").write_text('{"bucket_reso_steps": 8}', encoding="utf-8")
    base = recognise(sdxl_folder)
    assert (base.size, base.bucket_reso_steps) == ("micro", 8)


def test_the_word_micro_means_the_built_in_model(sdxl_folder, monkeypatch):
    monkeypatch.setattr(base_model, "_BUILT_IN_FOLDER", sdxl_folder)
    assert recognise("micro").kind == "built-in"
    monkeypatch.setattr(base_model, "_BUILT_IN_FOLDER", sdxl_folder / "gone")
    assert refusal("micro").code == "not-found"


def test_a_relative_path_is_looked_for_in_the_project_first(tmp_path, safetensors_file):
    file = safetensors_file(tmp_path / "model.safetensors", SDXL)
    assert recognise("model.safetensors", tmp_path).path == file


@pytest.mark.parametrize(
    ("tensors", "code", "named"),
    [
        ({"lora_unet_input_blocks_4_1_proj_in.lora_down.weight": ("F16", (4, 4))}, "is-a-lora", "LoRA"),
        ({"unet.down_blocks.1.attn.to_q.lora_A.weight": ("F16", (4, 4))}, "is-a-lora", "LoRA"),
        (first() | {"cond_stage_model.transformer.x": ("F16", (1,))}, "not-sdxl", "Stable Diffusion 1.5"),
        (first() | {"cond_stage_model.model.x": ("F16", (1,))}, "not-sdxl", "Stable Diffusion 2"),
        ({UNET + "double_blocks.0.img_attn.qkv.weight": ("F16", (1,))}, "not-sdxl", "Flux"),
        ({UNET + "joint_blocks.0.x": ("F16", (1,))}, "not-sdxl", "Stable Diffusion 3"),
        (first(384) | {"conditioner.embedders.0.model.x": ("F16", (1,))}, "not-sdxl", "refiner"),
        (first(320, 9) | DEEP | PARTS, "not-sdxl", "inpainting"),
        (first() | PARTS, "not-sdxl", "distilled"),
        (first(64) | PARTS, "not-sdxl", "64"),
        ({"down_blocks.0.x": ("F16", (1,))}, "not-sdxl", "only a U-Net"),
        ({"encoder.down.0.x": ("F16", (1,))}, "not-sdxl", "only a VAE"),
        ({"emb_params": ("F16", (1,))}, "not-sdxl", "embedding"),
        ({"down_blocks.0.x": ("F16", (1,)), "controlnet_down_blocks.0.x": ("F16", (1,))}, "not-sdxl", "a ControlNet"),
        ({"control_model.input_blocks.0.0.weight": ("F16", (1,))}, "not-sdxl", "a ControlNet"),
        ({"lllite_unet_input_blocks_4_1.down.0.weight": ("F16", (1,))}, "not-sdxl", "a ControlNet"),
        ({"image_proj.proj.weight": ("F16", (1,))}, "not-sdxl", "an IP-Adapter"),
        ({"ip_adapter.1.to_k_ip.weight": ("F16", (1,))}, "not-sdxl", "an IP-Adapter"),
        ({"encoder.block.0.layer.0.SelfAttention.k.weight": ("F16", (1,))}, "not-sdxl", "a T5 text encoder"),
        ({"x": ("F16", (1,))}, "not-sdxl", "None of its parts"),
        (first() | DEEP, "incomplete", "VAE"),
        (SDXL | {"v_pred": ("F32", (0,)), "edm_mean": ("F32", (4,))}, "edm-unsupported", "EDM"),
        (SDXL | {"edm_vpred.sigma_max": ("F32", (1,))}, "edm-unsupported", "EDM"),
        (SDXL | {"edm_mean": ("F32", (4,)), "edm_std": ("F32", (4,))}, "edm-unsupported", "EDM"),
    ],
)
def test_what_is_no_trainable_sdxl_model_is_named_by_what_it_is(tmp_path, safetensors_file, tensors, code, named):
    error = refusal(safetensors_file(tmp_path / "m.safetensors", tensors))
    assert error.code == code
    assert named in error.message


@pytest.mark.parametrize("missing_bytes", [1, 5000])
def test_a_truncated_file_is_refused_with_both_sizes(tmp_path, safetensors_file, missing_bytes):
    file = safetensors_file(tmp_path / "m.safetensors", SDXL, missing_bytes=missing_bytes)
    error = refusal(file)
    assert error.code == "truncated"
    assert f"{file.stat().st_size:,}" in error.message


@pytest.mark.parametrize("bytes_kept", [0, 4, 8, 100])
def test_a_file_cut_in_its_header_is_truncated(tmp_path, safetensors_file, bytes_kept):
    file = safetensors_file(tmp_path / "m.safetensors", SDXL)
    file.write_bytes(file.read_bytes()[:bytes_kept])
    assert refusal(file).code == "truncated"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"<!DOCTYPE html><html>", "not-safetensors"),
        (b"version https://git-lfs.github.com/spec/v1\n", "truncated"),
        (b"PK\x03\x04" + b"\0" * 100, "is-a-pickle"),
        (pickle.dumps({"state_dict": {}}, protocol=2), "is-a-pickle"),
        (b"\xff" * 100, "not-safetensors"),
        ((2).to_bytes(8, "little") + b"[]", "damaged"),
        ((2).to_bytes(8, "little") + b"{}more", "damaged"),
        ((7).to_bytes(8, "little") + b'{"a":1}', "damaged"),
        ((100).to_bytes(8, "little") + b"[" * 100, "damaged"),
        ((63).to_bytes(8, "little") + b'{"a":{"dtype":"F16","shape":[9],"data_offsets":[0,2]}          }xx', "damaged"),
    ],
)
def test_what_is_no_safetensors_file_is_refused(tmp_path, content, code):
    (tmp_path / "m.safetensors").write_bytes(content)
    assert refusal(tmp_path / "m.safetensors").code == code


@pytest.mark.parametrize("name", ["m.ckpt", "m.pt", "m.bin"])
def test_pickle_files_are_left_to_the_engine_which_is_said(tmp_path, name):
    (tmp_path / name).write_bytes(pickle.dumps({"state_dict": {}}, protocol=2))
    base = recognise(tmp_path / name)
    assert (base.kind, base.path) == ("pickle", tmp_path / name)
    assert "only the training finds out" in base.notes[0]
    (tmp_path / name).write_bytes(b"<html>")
    assert refusal(tmp_path / name).code == "damaged"


@pytest.mark.parametrize(
    ("file", "config", "code"),
    [
        ("model_index.json", {"_class_name": "StableDiffusionPipeline"}, "not-sdxl"),
        ("model_index.json", {"_class_name": "StableDiffusionXLInpaintPipeline"}, "not-sdxl"),
        ("unet/config.json", {"block_out_channels": [320], "transformer_layers_per_block": [1, 2, 4]}, "not-sdxl"),
        ("unet/config.json", {"block_out_channels": [384]}, "not-sdxl"),
        ("unet/config.json", [], "damaged"),
        ("scheduler/scheduler_config.json", {"_class_name": "EDMEulerScheduler"}, "edm-unsupported"),
    ],
)
def test_a_diffusers_folder_of_another_kind_is_refused(sdxl_folder, file, config, code):
    (sdxl_folder / file).write_text(json.dumps(config), encoding="utf-8")
    assert refusal(sdxl_folder).code == code


@pytest.mark.parametrize(("missing", "code"), [("model_index.json", "not-found"), ("unet/config.json", "incomplete")])
def test_a_diffusers_folder_with_a_missing_file_is_refused(sdxl_folder, missing, code):
    (sdxl_folder / missing).unlink()
    assert refusal(sdxl_folder).code == code


def test_a_diffusers_folder_with_missing_or_pickled_weights_is_refused(sdxl_folder):
    (sdxl_folder / "vae" / "diffusion_pytorch_model.safetensors").unlink()
    assert refusal(sdxl_folder).code == "incomplete"
    (sdxl_folder / "vae" / "diffusion_pytorch_model.bin").touch()
    assert refusal(sdxl_folder).code == "is-a-pickle"


@pytest.mark.parametrize("name", ["nowhere.safetensors", "~nobody/x", "a\0b", "x" * 5000])
def test_a_path_that_leads_nowhere_is_refused(name):
    assert refusal(name).code == "not-found"


@pytest.mark.parametrize("name", ["stabilityai/stable-diffusion-xl-base-1.0", "https://example.org/m.safetensors"])
def test_what_was_not_downloaded_yet_is_told_how_it_is(name, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    error = refusal(name)
    assert error.code == "not-downloaded"
    assert f"lora-tui download {name}" in error.hint


def test_a_name_from_hugging_face_is_found_where_it_was_downloaded_to(sdxl_folder, tmp_path, monkeypatch):
    commit = "0123456789" * 4
    snapshot = tmp_path / "hub" / "models--some--xl-model" / "snapshots" / commit
    snapshot.parent.mkdir(parents=True)
    sdxl_folder.rename(snapshot)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    assert refusal("some/xl-model").code == "not-downloaded"
    refs = snapshot.parents[1] / "refs"
    refs.mkdir()
    (refs / "main").write_text(commit)
    assert (recognise("some/xl-model").kind, recognise("some/xl-model").path) == ("diffusers-folder", snapshot)
    assert name_of_snapshot(snapshot) == "some/xl-model"
    (refs / "main").write_text("../../../etc")
    assert refusal("some/xl-model").code == "not-downloaded"


def test_no_base_model_is_said_in_words():
    assert refusal("").code == "no-base-model"
