"""A .ckpt is loaded by torch's reader that runs nothing in it, or refused in one sentence."""

from __future__ import annotations

import os
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from engine.models.checkpoint import load
from engine.plan.base_model import recognise
from engine.plan.errors import UserError
from tests.micro_model import base_of


@pytest.fixture(autouse=True)
def micro_configs(micro_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.models.checkpoint.configs_of", lambda size: {"micro": micro_folder}[size])


class Harmful:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("zipped", [False, True])
def test_a_pickled_checkpoint_loads_as_the_safetensors_file_does(
    micro_folder: Path, micro_file: Path, tmp_path: Path, nested: bool, zipped: bool
):
    weights = load_file(micro_file)
    path = tmp_path / "micro.ckpt"
    content = {"global_step": 7, "state_dict": weights} if nested else weights
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    loaded, wanted = load(recognise(path)), load(base_of(micro_folder))
    assert (loaded.size, loaded.bucket_reso_steps) == ("micro", 16)
    assert (loaded.text_identity, loaded.vae_identity) == (wanted.text_identity, wanted.vae_identity)
    for name, weight in wanted.unet.state_dict().items():
        assert torch.equal(loaded.unet.state_dict()[name], weight), name


def test_one_that_would_run_something_is_refused_and_runs_nothing(micro_file: Path, tmp_path: Path):
    path = tmp_path / "bad.ckpt"
    torch.save({"state_dict": load_file(micro_file), "callback": Harmful(tmp_path / "harm")}, path)
    with pytest.raises(UserError, match="could run programs") as error:
        load(recognise(path))
    assert error.value.code == "is-a-pickle"
    assert not (tmp_path / "harm").exists()


def refusal(path: Path) -> UserError:
    with pytest.raises(UserError) as error:
        load(recognise(path))
    return error.value


def test_what_is_no_sdxl_model_is_refused_by_what_it_is(tmp_path: Path):
    path = tmp_path / "m.pt"
    torch.save({"x.lora_down.weight": torch.zeros(1, 1)}, path)
    assert refusal(path).code == "is-a-lora"
    torch.save({"cond_stage_model.transformer.x": torch.zeros(1)}, path)
    assert "Stable Diffusion 1.5" in refusal(path).message
    torch.save([1, 2], path)
    assert refusal(path).code == "not-sdxl"


def test_a_damaged_one_is_one_sentence(micro_file: Path, tmp_path: Path):
    path = tmp_path / "m.ckpt"
    torch.save(load_file(micro_file), path)
    path.write_bytes(path.read_bytes()[:100_000])
    assert refusal(path).code == "damaged"
    path.write_bytes(pickle.dumps({}, protocol=2)[:-2])
    assert refusal(path).code in ("damaged", "is-a-pickle")


def test_a_v_prediction_model_is_refused_unless_the_settings_say_what_it_is(micro_file: Path, tmp_path: Path):
    path = tmp_path / "v.ckpt"
    torch.save(load_file(micro_file) | {"v_pred": torch.zeros(0)}, path)
    assert refusal(path).code == "v-prediction"
    assert "v_parameterization = true" in refusal(path).hint
    told = replace(recognise(path), prediction_type="v_prediction")
    assert load(told).scheduler_config["prediction_type"] == "v_prediction"
