"""A diffusers folder becomes one model: offline, quietly, in the precision that was asked for."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from engine.models.checkpoint import load
from engine.models.sdxl import SDXL
from engine.plan.base_model import recognise
from engine.plan.errors import UserError
from tests.micro_model import base_of, write_micro_folder


@pytest.fixture(scope="module")
def model(micro_folder: Path) -> SDXL:
    return load(base_of(micro_folder))


@pytest.fixture
def copy(micro_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(micro_folder, tmp_path / "copy"))


def dtypes(module: torch.nn.Module) -> set[torch.dtype]:
    return {weight.dtype for weight in module.parameters()}


def test_precision_is_what_was_asked_and_not_what_the_files_are(micro_folder: Path, model: SDXL):
    config = json.loads((micro_folder / "text_encoder" / "config.json").read_text(encoding="utf-8"))
    assert config["dtype"] == "float16"  # which transformers would follow
    for module in (model.unet, model.vae, model.text_encoder, model.text_encoder_2):
        assert dtypes(module) == {torch.float32}


def test_vae_stays_in_fp32(micro_folder: Path):
    half = load(base_of(micro_folder), dtype=torch.bfloat16)
    assert dtypes(half.vae) == {torch.float32}
    for module in (half.unet, half.text_encoder, half.text_encoder_2):
        assert dtypes(module) == {torch.bfloat16}


def test_loaded_model_is_frozen_and_in_evaluation_mode(model: SDXL):
    for module in (model.unet, model.vae, model.text_encoder, model.text_encoder_2):
        assert not module.training
        assert not any(weight.requires_grad for weight in module.parameters())


def test_what_is_not_weights_comes_along(model: SDXL):
    assert (model.size, model.bucket_reso_steps) == ("micro", 16)
    assert model.scheduler_config["beta_schedule"] == "scaled_linear"


def test_recognised_sources_load(micro_folder: Path, micro_file: Path, model: SDXL, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("engine.models.checkpoint.configs_of", lambda size: {"micro": micro_folder}[size])
    for source in (micro_folder, micro_file):
        loaded = load(recognise(source))
        assert (loaded.size, loaded.bucket_reso_steps) == ("micro", 16)
        assert loaded.text_identity == model.text_identity


def test_identities_tell_weights_apart(model: SDXL, copy: Path):
    assert load(base_of(copy)).vae_identity == model.vae_identity
    for part in ("vae/diffusion_pytorch_model", "text_encoder/model"):
        path = copy / f"{part}.safetensors"
        weights = load_file(path)
        name = next(iter(weights))
        save_file(weights | {name: weights[name] + 1}, path, metadata={"format": "pt"})
    changed = load(base_of(copy))
    assert changed.vae_identity != model.vae_identity
    assert changed.text_identity != model.text_identity


def test_folder_in_half_precision_files_only(model: SDXL, copy: Path):
    for path in list(copy.glob("*/*.safetensors")):
        path.rename(path.with_suffix(".fp16.safetensors"))
    assert load(base_of(copy)).text_identity == model.text_identity


def test_first_encoder_under_its_older_names(model: SDXL, copy: Path):
    """Published folders have one more level, `text_model.`, which transformers 5 dropped for the first encoder only."""
    path = copy / "text_encoder" / "model.safetensors"
    old = {f"text_model.{name.removeprefix('text_model.')}": weight for name, weight in load_file(path).items()}
    save_file(old, path, metadata={"format": "pt"})
    assert load(base_of(copy)).text_identity == model.text_identity


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder", "text_encoder_2"])
def test_a_lost_weight_is_refused_and_not_made_up(copy: Path, part: str):
    path = next((copy / part).glob("*.safetensors"))
    weights = load_file(path)
    lost = sorted(weights)[3]
    del weights[lost]
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(UserError, match=f"lacks weights of its {part}[:.]") as error:
        load(base_of(copy))
    assert error.value.code == "incomplete"


@pytest.mark.parametrize("lost", ["unet", "text_encoder_2/config.json", "tokenizer", "scheduler"])
def test_a_lost_file_is_one_clear_sentence(copy: Path, lost: str):
    path = copy / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(UserError) as error:
        load(base_of(copy))
    assert error.value.code in ("incomplete", "damaged")
    assert str(copy) in error.value.message
    assert "\n" not in error.value.message


def test_pickled_weights_are_not_opened(copy: Path):
    path = copy / "unet" / "diffusion_pytorch_model.safetensors"
    torch.save(load_file(path), path.with_suffix(".bin"))
    path.unlink()
    with pytest.raises(UserError, match="no safetensors weights in unet") as error:
        load(base_of(copy))
    assert "safetensors version" in error.value.hint


def test_damaged_weights_are_one_clear_sentence(copy: Path):
    (copy / "vae" / "diffusion_pytorch_model.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0not a header at all")
    with pytest.raises(UserError, match=r"The vae of .* cannot be loaded"):
        load(base_of(copy))


def test_a_tokenizer_that_does_not_fit_is_refused(tmp_path: Path):
    folder = write_micro_folder(tmp_path / "other", vocabulary_size=3000)
    with pytest.raises(UserError, match="its text encoder 3000") as error:
        load(base_of(folder))
    assert error.value.code == "tokenizer-mismatch"


def test_clips_own_vocabulary_serves_a_full_vocabulary_without_tokenizer_folder(tmp_path: Path):
    folder = write_micro_folder(tmp_path / "full", vocabulary_size=49_408)
    shutil.rmtree(folder / "tokenizer")
    model = load(base_of(folder))
    assert model.tokenizer("a photo of a cat").input_ids == [49406, 320, 1125, 539, 320, 2368, 49407]


QUIET = """
import socket, sys
from pathlib import Path
def refuse(*args, **kwargs): raise AssertionError("the loader went online")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
from tests.micro_model import base_of
from engine.models.checkpoint import load, load_single_file
folder, file = Path(sys.argv[1]), Path(sys.argv[2])
load(base_of(folder))
load_single_file(file, folder, base_of(file))
import transformers
assert transformers.utils.logging.get_verbosity() == transformers.utils.logging.WARNING
assert transformers.utils.logging.is_progress_bar_enabled()
"""


IGNORED = "default,ignore:`torch.jit:DeprecationWarning"  # bitsandbytes, where it is installed


def test_loading_says_nothing_and_stays_offline(micro_folder: Path, micro_file: Path):
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", QUIET, str(micro_folder), str(micro_file)],
        capture_output=True,
        text=True,
        cwd=root,
        env={"PYTHONPATH": root, "HOME": str(micro_folder), "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": IGNORED},
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# ------------------------------------------------------------------------------------------- text encoders let go
@pytest.mark.parametrize("source", ["micro_folder", "micro_file"])
def test_text_encoders_that_were_let_go_come_back_as_they_were(source: str, request: pytest.FixtureRequest):
    path = request.getfixturevalue(source)
    model = load(base_of(path))
    before = model.encode_text(["a man in a red coat"])
    model.let_text_encoders_go()
    model.let_text_encoders_go()
    for encoder in (model.text_encoder, model.text_encoder_2):
        assert all(weight.is_meta for weight in encoder.parameters())
    model.text_encoders_to("cpu")
    for encoder in (model.text_encoder, model.text_encoder_2):
        assert not encoder.training
        assert not any(weight.requires_grad for weight in encoder.parameters())
    for one, other in zip(before, model.encode_text(["a man in a red coat"]), strict=True):
        assert torch.equal(one, other)


def test_text_encoders_do_not_come_back_from_another_model(copy: Path):
    model = load(base_of(copy))
    model.let_text_encoders_go()
    file = next((copy / "text_encoder").glob("*.safetensors"))
    save_file({name: weight + 1 for name, weight in load_file(file).items()}, file, metadata={"format": "pt"})
    with pytest.raises(UserError, match="is not the one any more"):
        model.text_encoders_to("cpu")
