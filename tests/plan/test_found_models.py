"""Base models that lie on this machine are found where people keep them, named by what they are, within bounds."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import pytest

from engine.plan import found_models as module
from engine.plan.errors import UserError
from engine.plan.found_models import Found, found_models

UNET = "model.diffusion_model."
FIRST = {UNET + "input_blocks.0.0.weight": ("F16", (320, 4, 3, 3))}
FILLER = {"filler": ("F16", (800_000_000,))}  # 1.6 GB, a hole on the disk
PARTS = {
    "first_stage_model.encoder.conv_in.weight": ("F16", (2, 3, 3, 3)),
    "conditioner.embedders.0.transformer.text_model.embeddings.token_embedding.weight": ("F16", (4, 2)),
    "conditioner.embedders.1.model.transformer.resblocks.0.ln_1.weight": ("F16", (2,)),
}
DEEP = {UNET + "input_blocks.8.1.transformer_blocks.9.norm1.weight": ("F16", (2,))}
SDXL = FIRST | DEEP | PARTS | FILLER
SD15 = FIRST | FILLER | {"cond_stage_model.transformer.x": ("F16", (1,))}


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with an empty home and nothing elsewhere."""
    for name in ("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(module, "_SHARED", (str(tmp_path / "workspace"), str(tmp_path / "shared")))
    monkeypatch.setattr(module, "_BASES", (str(tmp_path / "workspace"),))
    for name in ("home", "workspace"):
        (tmp_path / name).mkdir()
    return tmp_path


def listed(project: Path | None = None, recent: tuple[Path, ...] = ()) -> list[Found]:
    """What is found, without the practice model, which has to be the last."""
    *found, last = found_models(project, recent)
    assert (str(last.path), last.kind, last.trouble) == ("micro", "practice model", "")
    assert last.size > 1_000_000
    return found


def test_the_practice_model_is_there_where_nothing_else_is(machine):
    assert listed() == []
    assert listed(machine / "project") == []


@pytest.mark.parametrize(
    "place",
    [
        "lora/models", "lora/Models", "lora", "home/models", "home/models/sdxl/finetunes",
        "home/stable-diffusion-webui/models/Stable-diffusion",
        "home/stable-diffusion-webui-forge/models/Stable-diffusion",
        "home/webui_forge_cu121_torch231/webui/models/Stable-diffusion", "home/ComfyUI/models/checkpoints/sdxl",
        "home/kohya_ss/inputs/Models", "workspace/kohya/inputs/Models", "workspace", "workspace/a/b", "shared",
        "workspace/ComfyUI/models/checkpoints", "home/Downloads",
        "home/.cache/huggingface/hub/models--x--y/snapshots/0123",
    ],
)  # fmt: skip
def test_models_are_found_where_people_and_programs_keep_them(machine, safetensors_file, place):
    file = safetensors_file(machine / place / "juggernautXL.safetensors", SDXL)
    assert listed(machine / "lora" / "face") == [Found(file, file.stat().st_size, "SDXL")]


def test_what_is_no_sdxl_model_is_named_and_comes_after_those_that_are(machine, safetensors_file, tmp_path):
    models = machine / "home" / "models"
    safetensors_file(models / "a.safetensors", SD15)
    safetensors_file(models / "b.safetensors", {"double_blocks.0.x": ("F16", (1,))} | FILLER)
    safetensors_file(models / "c.safetensors", {"x.lora_down.y": ("F16", (1,))} | FILLER)
    safetensors_file(models / "d.safetensors", SDXL, missing_bytes=5000)
    safetensors_file(models / "e.safetensors", SDXL | {"v_pred": ("F32", (0,))})
    safetensors_file(models / "f.safetensors", FILLER)
    safetensors_file(models / "g.safetensors", FIRST | PARTS | FILLER)
    safetensors_file(models / "h.safetensors", {"down_blocks.0.x": ("F16", (1,))} | FILLER)
    with open(models / "i.safetensors", "wb") as file:
        file.write(b"\xff" * 100)
        file.truncate(2_000_000_000)
    safetensors_file(models / "z.safetensors", SDXL)
    found = listed()
    assert [(model.path.stem, model.kind) for model in found] == [
        ("e", "v-prediction SDXL"), ("z", "SDXL"), ("a", "Stable Diffusion 1.5"), ("b", "Flux"), ("c", "LoRA"),
        ("d", "not whole"), ("f", "not SDXL"), ("g", "distilled"), ("h", "only a U-Net"), ("i", "not a model"),
    ]  # fmt: skip
    assert [model.trouble for model in found[:2]] == ["", ""]
    assert "is not an SDXL model. It is a Stable Diffusion 1.5 model." in found[2].trouble


def test_small_files_other_files_and_parts_of_language_models_are_passed_over(machine, safetensors_file):
    models = machine / "home" / "models"
    safetensors_file(models / "lora.safetensors", {"x.lora_down.y": ("F16", (1,))})
    safetensors_file(models / "model-00001-of-00003.safetensors", FILLER)
    with open(models / "model.ckpt", "wb") as file:
        file.truncate(2_000_000_000)
    (models / "folder.safetensors").mkdir()
    (models / "nowhere.safetensors").symlink_to("/nowhere/at/all")
    safetensors_file(models / "a" / "b" / "too deep" / "x.safetensors", SDXL)
    safetensors_file(models / ".hidden" / "x.safetensors", SDXL)
    assert listed() == []


def test_diffusers_folders_are_one_model_each(machine, sdxl_folder):
    there = machine / "home" / "models" / "stabilityai" / "sdxl"
    there.parent.mkdir(parents=True)
    sdxl_folder.rename(there)
    other = machine / "home" / "models" / "sd15"
    (other / "unet").mkdir(parents=True)
    (other / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}', encoding="utf-8")
    found = listed()
    assert [(model.path, model.kind) for model in found] == [(there, "SDXL"), (other, "StableDiffusionPipeline")]
    assert found[0].size == sum(file.stat().st_size for file in there.rglob("*.safetensors"))


def test_links_to_the_same_model_are_one_entry(machine, safetensors_file, sdxl_folder):
    blob = safetensors_file(machine / "blobs" / "0123.safetensors", SDXL)
    for place in ("models", "ComfyUI/models/checkpoints"):
        (machine / "home" / place).mkdir(parents=True)
        (machine / "home" / place / f"{place[:3]}.safetensors").symlink_to(blob)
    (machine / "shared").symlink_to(machine / "home" / "models")
    assert [model.path.name for model in listed()] == ["mod.safetensors"]


def test_snapshots_that_share_their_files_are_one_model(machine, sdxl_folder, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(machine / "hf"))
    snapshots = machine / "hf" / "hub" / "models--stabilityai--sdxl" / "snapshots"
    snapshots.mkdir(parents=True)
    sdxl_folder.rename(snapshots / "0001")
    shutil.copytree(snapshots / "0001", snapshots / "0002", copy_function=os.symlink)
    assert [(model.path.name, model.kind) for model in listed()] == [("0001", "SDXL")]


def test_models_used_lately_come_first_whatever_their_size(machine, safetensors_file):
    safetensors_file(machine / "home" / "models" / "a.safetensors", SDXL)
    mine = safetensors_file(machine / "elsewhere" / "mine.safetensors", FIRST | DEEP | PARTS)
    safetensors_file(machine / "elsewhere" / "beside.safetensors", SDXL)
    recent = (mine, machine / "gone.safetensors", Path("micro"), Path("a\0b"), Path("/a\0b"))
    assert [model.path.stem for model in listed(None, recent)] == ["mine", "beside", "a"]


def test_a_folder_that_was_looked_at_is_still_gone_down_from(machine, safetensors_file):
    safetensors_file(machine / "workspace" / "x" / "y" / "a.safetensors", SDXL)
    assert len(listed(machine / "workspace" / "face")) == 1


def test_bounds_hold_on_a_machine_with_very_many_folders(machine, monkeypatch):
    for number in range(40):
        for inner in range(40):
            (machine / "workspace" / f"{number}" / f"{inner}").mkdir(parents=True)
    read = []
    entries = module._entries
    monkeypatch.setattr(module, "_entries", lambda folder: read.append(folder) or entries(folder))
    began = time.perf_counter()
    listed()
    assert time.perf_counter() - began < 2
    assert len(read) <= module.MOST_FOLDERS_OF_ONE_PLACE + 20


def test_circles_of_links_end(machine):
    models = machine / "home" / "models"
    models.mkdir()
    (models / "again").symlink_to(models)
    (models / "self").symlink_to(models / "self")
    assert listed() == []


def test_time_is_bounded(machine, safetensors_file, monkeypatch):
    safetensors_file(machine / "home" / "models" / "a.safetensors", SDXL)
    monkeypatch.setattr(module, "MOST_SECONDS", -1.0)
    assert listed() == []


def test_nonsense_never_raises(machine, safetensors_file, sdxl_folder, monkeypatch):
    models = machine / "home" / "models"
    models.mkdir()
    sdxl_folder.rename(models / "sdxl")
    (models / "sdxl" / "unet" / "config.json").write_text('{"block_out_channels": 5}', encoding="utf-8")
    hostile = "\x1b[2J is not an SDXL model. It is a trap.safetensors"
    safetensors_file(models / hostile, SD15)
    safetensors_file(models / os.fsdecode(b"\xff.safetensors"), SDXL)  # project.toml could not name it
    (models / "list").mkdir()
    (models / "list" / "model_index.json").write_text(json.dumps([1]), encoding="utf-8")
    found = {model.path.name: (model.kind, model.trouble) for model in listed(Path("x\0y"), (Path("/" + "x" * 5000),))}
    assert found.keys() == {"sdxl", hostile, "list"}
    assert found["sdxl"][0] == "not SDXL"
    assert found[hostile][0] == "Stable Diffusion 1.5"
    assert found["list"][0] == "damaged"
    assert all("\x1b" not in trouble for _, trouble in found.values())


def test_missing_practice_model_is_still_listed(monkeypatch):
    def gone(name: object) -> None:
        raise UserError("not-found", "The built-in practice model is missing.")

    monkeypatch.setattr(module, "recognise", gone)
    (last,) = found_models(None)
    assert (str(last.path), last.kind, last.size) == ("micro", "practice model", 0)
    assert last.trouble
