"""Metadata of LoRAs as settings, after interop.md's list of a real run and semantics.md 1.23."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.plan.errors import UserError
from engine.plan.kohya.opening import read as open_file
from engine.plan.settings import resolve, to_dict
from tests.plan.kohya.asked import Read

RUN = {
    "modelspec.architecture": "stable-diffusion-xl-v1-base/lora",
    "modelspec.timestep_range": "0,900",
    "ss_base_model_version": "sdxl_base_v1-0",
    "ss_batch_size_per_device": "2",
    "ss_bucket_info": '{"buckets": {}}',
    "ss_bucket_no_upscale": "True",
    "ss_cache_latents": "True",
    "ss_caption_dropout_rate": "0.0",
    "ss_clip_skip": "None",
    "ss_color_aug": "False",
    "ss_dataset_dirs": '{"2_ohwx man": {"n_repeats": 2, "img_count": 3}}',
    "ss_debiased_estimation": "False",
    "ss_enable_bucket": "True",
    "ss_epoch": "3",
    "ss_fp8_base": "False",
    "ss_gradient_accumulation_steps": "1",
    "ss_learning_rate": "1.0",
    "ss_lr_scheduler": "cosine",
    "ss_lr_warmup_steps": "20",
    "ss_max_bucket_reso": "2048",
    "ss_max_grad_norm": "1.0",
    "ss_max_token_length": "225",
    "ss_max_train_steps": "400",
    "ss_min_bucket_reso": "256",
    "ss_min_snr_gamma": "5.0",
    "ss_mixed_precision": "bf16",
    "ss_network_alpha": "8.0",
    "ss_network_args": '{"conv_dim": "4", "conv_alpha": "1", "dropout": null}',
    "ss_network_dim": "16",
    "ss_network_dropout": "None",
    "ss_network_module": "networks.lora",
    "ss_noise_offset": "None",
    "ss_num_epochs": "4",
    "ss_optimizer": "prodigyopt.prodigy.Prodigy(decouple=True,weight_decay=0.01,betas=(0.9, 0.99),d_coef=2)",
    "ss_output_name": "../../ohwx",
    "ss_prior_loss_weight": "0.8",
    "ss_resolution": "(1024, 1024)",
    "ss_scale_weight_norms": "None",
    "ss_seed": "42",
    "ss_shuffle_caption": "True",
    "ss_steps": "300",
    "ss_tag_frequency": '{"2_ohwx man": {"ohwx man": 3}}',
    "ss_text_encoder_lr": "None",
    "ss_training_comment": "trigger: ohwx",
    "ss_unet_lr": "1.0",
    "sshs_model_hash": "0a29",
}
UNET = "lora_unet_input_blocks_4_1_proj_in.lora_down.weight"
TEXT = "lora_te1_text_model_encoder_layers_0_mlp_fc1.lora_down.weight"


def lora(path: Path, metadata: dict[str, str], tensors: tuple[str, ...] = (UNET,)) -> Path:
    header: dict[str, object] = {"__metadata__": metadata}
    for place, name in enumerate(tensors):
        header[name] = {"dtype": "F16", "shape": [1], "data_offsets": [2 * place, 2 * place + 2]}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(2 * len(tensors)))
    return path


def test_a_kohya_lora_tells_how_it_was_trained(tmp_path):
    found = Read(open_file(lora(tmp_path / "x.safetensors", RUN)))
    settings = resolve(found.settings)
    assert (settings.network_dim, settings.network_alpha, settings.conv_dim, settings.conv_alpha) == (16, 8.0, 4, 1.0)
    assert (settings.optimizer_type, settings.learning_rate) == ("Prodigy", 1.0)
    assert settings.optimizer_args == ("decouple=True", "weight_decay=0.01", "betas=(0.9,0.99)", "d_coef=2")
    assert (settings.train_unet, settings.train_text_encoder_1, settings.train_text_encoder_2) == (True, False, False)
    assert (settings.unet_lr, settings.text_encoder_lr) == ("", "")
    assert (settings.max_train_epochs, settings.lr_warmup_steps, settings.lr_scheduler) == (4, 20, "cosine")
    assert (settings.noise_offset, settings.scale_weight_norms, settings.network_dropout) == (0.0, 0.0, 0.0)
    assert (settings.max_token_length, settings.resolution, settings.max_timestep) == (225, "1024,1024", 900)
    assert (settings.train_batch_size, settings.prior_loss_weight, settings.seed) == (2, 0.8, 42)
    told = set(found.carried) | set(found.left)
    assert set(RUN) - told == {"ss_network_args"}
    assert {"ss_network_args: conv_dim", "ss_network_args: conv_alpha"} <= told
    assert found.why("ss_output_name") == found.why("ss_training_comment") == "project"
    assert {found.why(key) for key in ("ss_tag_frequency", "ss_epoch", "sshs_model_hash")} == {"fact"}
    assert not [line for line in found.outcome.left_out if line.why in ("unsupported", "unknown", "bad-value")]
    assert "kohya-midway" in found.codes


def test_layers_tell_which_parts_were_trained(tmp_path):
    found = Read(open_file(lora(tmp_path / "x.safetensors", RUN, (UNET, TEXT))))
    settings = resolve(found.settings)
    assert (settings.train_unet, settings.train_text_encoder_1, settings.train_text_encoder_2) == (True, True, False)


def test_a_lora_of_ours_gives_all_its_settings(tmp_path):
    ours = resolve({"network_dim": 24, "noise_offset": 0.03, "use_ema": True, "pretrained_model_name_or_path": "x"})
    metadata = RUN | {"lora_tui.settings": json.dumps(to_dict(ours))}
    found = Read(open_file(lora(tmp_path / "x.safetensors", metadata)))
    back = resolve(found.settings, {"pretrained_model_name_or_path": "x"})
    assert back == ours
    assert found.why("pretrained_model_name_or_path") == "project"


def test_a_lycoris_lora_is_named(tmp_path):
    metadata = RUN | {"ss_network_module": "lycoris.kohya", "ss_network_args": '{"algo": "lokr", "factor": "8"}'}
    found = Read(open_file(lora(tmp_path / "x.safetensors", metadata)))
    assert "LyCORIS/LoKr" in found.findings["kohya-lora-type"].message


@pytest.mark.parametrize(
    "key",
    ["ss_optimizer", "ss_network_module", "ss_lr_scheduler", "ss_mixed_precision", "ss_resolution", "ss_seed", "ss_x",
     "ss_network_args", "ss_datasets", "ss_network_dim", "ss_base_model_version"],
)  # fmt: skip
@pytest.mark.parametrize("value", ["a" * 100_000, "a." + "b" * 100_000, '{"' + "a" * 100_000 + '": 1}'])
def test_long_words_of_a_stranger_are_cut(tmp_path, key, value):
    outcome = open_file(lora(tmp_path / "x.safetensors", RUN | {key: value}))
    told = [finding.message + finding.hint for finding in outcome.findings]
    told += [line.key + line.given + line.note for line in outcome.carried]
    told += [line.key + line.given + line.reason for line in outcome.left_out]
    assert max(map(len, told)) < 800


def test_a_lora_for_another_model_says_so(tmp_path):
    found = Read(open_file(lora(tmp_path / "x.safetensors", RUN | {"ss_base_model_version": "sd_v1"})))
    assert "kohya-other-model" in found.codes


def test_datasets_of_a_dataset_file_are_read(tmp_path):
    datasets = [
        {"batch_size_per_device": 3, "resolution": [768, 768], "tag_frequency": {"a": {"b": 1}}, "enable_bucket": True,
         "subsets": [{"img_count": 3, "num_repeats": 2, "flip_aug": True, "keep_tokens": 1, "class_tokens": None}]}
    ]  # fmt: skip
    metadata = {key: value for key, value in RUN.items() if key not in ("ss_resolution", "ss_batch_size_per_device")}
    metadata["ss_datasets"] = json.dumps(datasets)
    settings = Read(open_file(lora(tmp_path / "x.safetensors", metadata))).settings
    assert (settings["train_batch_size"], settings["resolution"], settings["flip_aug"]) == (3, "768,768", True)


@pytest.mark.parametrize("metadata", [{}, {"format": "pt"}, {"modelspec.title": "x"}])
def test_a_lora_that_tells_nothing_is_refused(tmp_path, metadata):
    with pytest.raises(UserError) as refused:
        open_file(lora(tmp_path / "x.safetensors", metadata))
    assert refused.value.code == "no-settings"
