"""What a LoRA's header says, under sd-scripts' names: for A1111, Forge and people; and what it never says."""

from __future__ import annotations

import getpass
import hashlib
import json
import socket
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from engine.lora import metadata, weights
from engine.plan.dataset import Dataset, scan
from engine.plan.project import Project
from tests.training import make_project, picture, settings

# From a real run of sd-scripts at 48d368f (interop.md), without the two hashes that `weights.write` adds.
SD_SCRIPTS_KEYS = """
    modelspec.architecture modelspec.date modelspec.implementation modelspec.implementation_version
    modelspec.prediction_type modelspec.resolution modelspec.sai_model_spec modelspec.title
    ss_adaptive_noise_scale ss_base_model_version ss_batch_size_per_device ss_bucket_info ss_bucket_no_upscale
    ss_cache_latents ss_caption_dropout_every_n_epochs ss_caption_dropout_rate ss_caption_tag_dropout_rate
    ss_clip_skip ss_color_aug ss_dataset_dirs ss_debiased_estimation ss_enable_bucket ss_epoch
    ss_face_crop_aug_range ss_flip_aug ss_fp8_base ss_fp8_base_unet ss_full_fp16 ss_gradient_accumulation_steps
    ss_gradient_checkpointing ss_huber_c ss_huber_scale ss_huber_schedule ss_ip_noise_gamma
    ss_ip_noise_gamma_random_strength ss_keep_tokens ss_learning_rate ss_loss_type ss_lowram ss_lr_scheduler
    ss_lr_warmup_steps ss_max_bucket_reso ss_max_grad_norm ss_max_token_length ss_max_train_steps
    ss_max_validation_steps ss_min_bucket_reso ss_min_snr_gamma ss_mixed_precision ss_multires_noise_discount
    ss_multires_noise_iterations ss_network_alpha ss_network_dim ss_network_dropout ss_network_module
    ss_new_sd_model_hash ss_noise_offset ss_noise_offset_random_strength ss_num_batches_per_epoch ss_num_epochs
    ss_num_reg_images ss_num_train_images ss_num_validation_images ss_optimizer ss_output_name
    ss_prior_loss_weight ss_random_crop ss_reg_dataset_dirs ss_resize_interpolation ss_resolution
    ss_scale_weight_norms ss_sd_model_hash ss_sd_model_name ss_sd_scripts_commit_hash ss_seed ss_session_id
    ss_shuffle_caption ss_steps ss_tag_frequency ss_text_encoder_lr ss_total_batch_size ss_training_comment
    ss_training_finished_at ss_training_started_at ss_unet_lr ss_v2 ss_validate_every_n_epochs
    ss_validate_every_n_steps ss_validation_seed ss_validation_split ss_zero_terminal_snr
"""
LEFT_OUT = {
    "modelspec.implementation_version",  # these two name a version of sd-scripts
    "ss_sd_scripts_commit_hash",
    "ss_new_sd_model_hash",  # would read all 7 GB of a checkpoint; no reader of LoRAs asks for it
}
OWN = {"modelspec.trigger_phrase", "lora_tui.settings"}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Two folders of pictures, one left out, and two regularisation pictures for the 10 that an epoch has."""
    root = make_project(tmp_path_factory.mktemp("data") / "project", reg=True, repeats=2)
    for number in (60, 61, 62):
        picture(root / "img" / "1_ohwx man smiling" / f"{number}.png", number)
    project = Project.open(root)
    project.left_out = ["img/1_ohwx man smiling/62.png"]
    return scan(project, settings())


def build(dataset: Dataset, trigger: str = "ohwx", **values: object) -> dict[str, str]:
    base = "/home/somebody/models/juggernautXL.safetensors"
    return metadata.build(
        settings(pretrained_model_name_or_path=values.pop("base", base), **values),
        dataset,
        metadata.Progress(epoch=1, step=5, started=1795351061.7, finished=1795351234.1),
        output_name="ohwx",
        trigger=trigger,
        session_id=12,
    )


def test_all_of_sd_scripts_keys_are_there_as_text(dataset: Dataset) -> None:
    made = build(dataset)
    assert set(made) == set(SD_SCRIPTS_KEYS.split()) - LEFT_OUT | OWN
    assert all(isinstance(value, str) for value in made.values())


def test_values_are_spelt_as_sd_scripts_spells_them(dataset: Dataset) -> None:
    made = build(
        dataset,
        optimizer_type="Prodigy",
        optimizer_args=("decouple=True", "weight_decay=0.01"),
        learning_rate=1.0,
        noise_offset=0.05,
        network_alpha=8,
        gradient_accumulation_steps=3,
    )
    expected = {
        "ss_optimizer": "prodigyopt.prodigy.Prodigy(decouple=True,weight_decay=0.01)",
        "ss_resolution": "(64, 64)",
        "modelspec.resolution": "64x64",
        "ss_noise_offset": "0.05",
        "ss_min_snr_gamma": "None",
        "ss_scale_weight_norms": "None",
        "ss_network_alpha": "8.0",
        "ss_network_module": "networks.lora",
        "ss_learning_rate": "1.0",
        "ss_unet_lr": "1.0",
        "ss_text_encoder_lr": "None",
        "ss_gradient_checkpointing": "False",
        "ss_v2": "False",
        "ss_max_token_length": "None",
        "ss_training_comment": "trigger: ohwx",
        "ss_total_batch_size": "6",
        "ss_sd_model_name": "juggernautXL.safetensors",
        "modelspec.architecture": "stable-diffusion-xl-v1-base/lora",
        "modelspec.title": "ohwx",
        "modelspec.trigger_phrase": "ohwx",
    }
    assert {key: made[key] for key in expected} == expected
    assert made["ss_base_model_version"].startswith("sdxl_")  # or A1111 hides the file


def test_what_the_pictures_are_is_told_by_folder(dataset: Dataset) -> None:
    made = build(dataset)
    assert json.loads(made["ss_dataset_dirs"]) == {
        "1_ohwx man smiling": {"n_repeats": 1, "img_count": 2},
        "2_ohwx man": {"n_repeats": 2, "img_count": 4},
    }
    assert json.loads(made["ss_reg_dataset_dirs"]) == {"1_man": {"n_repeats": 1, "img_count": 2}}
    assert (made["ss_num_train_images"], made["ss_num_reg_images"]) == ("10", "10")  # with repeats, balanced


def test_tags_are_counted_once_a_picture_in_small_letters(dataset: Dataset) -> None:
    first = next(p for p in dataset.used if p.folder == "2_ohwx man")
    odd = replace(first, caption=" Blue Hat,, a photo of a man ,blue hat")
    pictures = tuple(odd if p is first else p for p in dataset.pictures)
    counted = json.loads(build(replace(dataset, pictures=pictures))["ss_tag_frequency"])
    assert counted["2_ohwx man"] == {
        "blue hat": 2,
        "a photo of a man": 4,
        "ohwx": 3,
        "number 1": 1,
        "number 2": 1,
        "number 3": 1,
    }
    assert counted["1_man"] == {"man": 2}
    assert counted["1_ohwx man smiling"] == {"ohwx man smiling": 2}


def test_buckets_are_told_with_repeats_and_how_far_their_shapes_are_off(dataset: Dataset) -> None:
    info = json.loads(build(dataset)["ss_bucket_info"])
    assert info["buckets"] == {
        "0": {"resolution": [64, 32], "count": 2},
        "1": {"resolution": [64, 64], "count": 18},
    }
    assert info["mean_img_ar_error"] == pytest.approx(0.0)
    cropped = tuple(replace(p, width=72, height=48) if p.width == 96 else p for p in dataset.pictures)
    info = json.loads(build(replace(dataset, pictures=cropped))["ss_bucket_info"])
    assert info["mean_img_ar_error"] == pytest.approx((2.0 - 1.5) / 8)
    assert build(dataset, enable_bucket=False)["ss_bucket_info"] == "null"


def test_a_single_file_has_a1111s_short_hash_and_a_folder_has_none(dataset: Dataset, tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    content = torch.arange(0x30000, dtype=torch.int64).numpy().tobytes()
    file.write_bytes(content)
    made = build(dataset, base=str(file))
    assert made["ss_sd_model_hash"] == hashlib.sha256(content[0x100000:0x110000]).hexdigest()[:8]
    assert build(dataset, base=str(tmp_path))["ss_sd_model_hash"] == "None"


def test_a_model_of_hugging_face_is_called_by_its_name(dataset: Dataset) -> None:
    made = build(dataset, base=f"/home/somebody/.cache/hub/models--some--xl/snapshots/{'0a' * 20}")
    assert made["ss_sd_model_name"] == "some/xl"
    assert json.loads(made["lora_tui.settings"])["pretrained_model_name_or_path"] == "some/xl"


def test_without_a_trigger_nothing_is_made_up(dataset: Dataset) -> None:
    made = build(dataset, trigger="")
    assert made["ss_training_comment"] == "None"
    assert "modelspec.trigger_phrase" not in made


def test_the_settings_are_there_to_be_used_again(dataset: Dataset) -> None:
    own = json.loads(build(dataset, seed=99)["lora_tui.settings"])
    assert own["seed"] == 99
    again = settings(**own)
    assert again.pretrained_model_name_or_path == "juggernautXL.safetensors"


def test_no_header_names_a_path_a_user_or_a_machine(dataset: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    weights.write(path, {"a.alpha": torch.tensor(1.0)}, build(dataset))
    length = int.from_bytes(path.read_bytes()[:8], "little")
    header = path.read_bytes()[8 : 8 + length].decode()
    said = header.replace(metadata.SGM_IMPLEMENTATION, "")
    project = dataset.pictures[0].path.parents[3]
    for secret in ("/home", "somebody", str(project), project.name, str(tmp_path), socket.gethostname()):
        assert secret not in said, secret
    user = getpass.getuser()
    assert f"/{user}" not in said
    assert "//" not in said


def test_names_that_are_not_utf_8_do_not_lose_the_training(dataset: Dataset) -> None:
    folder = dataset.folders[0]
    strange = replace(
        dataset,
        folders=(replace(folder, name="1_caf\udce9"), *dataset.folders[1:]),
        pictures=tuple(replace(p, folder="1_caf\udce9") if p.folder == folder.name else p for p in dataset.pictures),
    )
    made = build(strange, trigger="caf\udce9")
    for value in made.values():
        value.encode("utf-8")
    assert made["modelspec.trigger_phrase"] == "caf\\udce9"
    assert "1_caf\udce9" in json.loads(made["ss_dataset_dirs"])


def test_noise_loss_and_prediction_type_are_told(dataset: Dataset) -> None:
    options = {
        "adaptive_noise_scale": 0.02,
        "noise_offset_random_strength": True,
        "multires_noise_iterations": 6,
        "multires_noise_discount": 0.5,
        "ip_noise_gamma": 0.1,
        "ip_noise_gamma_random_strength": True,
        "min_timestep": 100,
        "v_parameterization": True,
        "zero_terminal_snr": True,
        "loss_type": "huber",
        "huber_schedule": "exponential",
        "huber_c": 0.2,
        "huber_scale": 1.5,
        "debiased_estimation_loss": True,
    }
    expected = {
        "ss_adaptive_noise_scale": "0.02",
        "ss_noise_offset_random_strength": "True",
        "ss_multires_noise_iterations": "6",
        "ss_multires_noise_discount": "0.5",
        "ss_ip_noise_gamma": "0.1",
        "ss_ip_noise_gamma_random_strength": "True",
        "ss_v_parameterization": "True",
        "ss_zero_terminal_snr": "True",
        "ss_loss_type": "huber",
        "ss_huber_schedule": "exponential",
        "ss_huber_c": "0.2",
        "ss_huber_scale": "1.5",
        "ss_debiased_estimation": "True",
        "modelspec.prediction_type": "v",
        "modelspec.timestep_range": "100,1000",
    }
    made = build(dataset, **options)
    assert {key: made[key] for key in expected} == expected
    plain = build(dataset)
    assert (plain["modelspec.prediction_type"], plain["ss_zero_terminal_snr"]) == ("epsilon", "False")
    assert (plain["ss_ip_noise_gamma"], plain["ss_adaptive_noise_scale"]) == ("None", "None")
