"""Saves of kohya_ss' window, after semantics.md 1.0, 1.11, 1.12, 1.18, 1.25 and 1.26."""

from __future__ import annotations

import pytest

from engine.plan import presets
from engine.plan.kohya import gui
from engine.plan.kohya.opening import read as open_file
from engine.plan.settings import resolve, to_dict
from tests.plan.kohya.asked import AI_NOW, Read


def test_every_key_of_the_preset_is_carried_over_or_left_out_with_a_reason(ai_now):
    found = Read(open_file(AI_NOW))
    assert set(ai_now) == set(found.carried) | set(found.left)
    assert not set(found.carried) & set(found.left)
    assert all(line.reason for line in found.outcome.left_out)
    assert not [line for line in found.outcome.left_out if line.why in ("unknown", "bad-value")]


def test_ai_now_preset_becomes_what_it_trains(window):
    settings = resolve(window().settings)
    assert (settings.train_batch_size, settings.max_train_epochs, settings.save_every_n_epochs) == (8, 160, 10)
    assert (settings.network_dim, settings.network_alpha, settings.scale_weight_norms) == (32, 16.0, 5.0)
    assert (settings.optimizer_type, settings.learning_rate) == ("Prodigy", 1.0)
    assert settings.optimizer_args == ("weight_decay=0.01", "decouple=True", "d0=0.0001", "use_bias_correction=True")
    assert (settings.train_unet, settings.train_text_encoder_1, settings.train_text_encoder_2) == (True, True, True)
    assert (settings.noise_offset, settings.caption_dropout_rate, settings.min_snr_gamma) == (0.0, 0.0, 5.0)
    assert (settings.unet_lr, settings.text_encoder_lr) == ("", "")
    assert settings.conv_dim == 0


def test_the_programs_own_copy_of_the_preset_is_what_the_file_gives():
    """But for two options, whose reasons stand in the preset's file."""
    own, imported = presets.load("ai-now-prodigy"), open_file(AI_NOW)
    given, copied = to_dict(resolve(imported.settings)), to_dict(resolve(own.settings))
    differ = {name: (given[name], copied[name]) for name in given if given[name] != copied[name]}
    assert differ == {"max_data_loader_n_workers": (0, 2), "sample_every_n_steps": (250, 0)}
    assert "sample_every_n_steps" not in imported.settings
    text = (presets.folder() / "ai-now-prodigy.toml").read_text(encoding="utf-8")
    assert all(name in text for name in differ)
    assert "1,600 steps" in " ".join(own.notes)  # what the import tells as well


def test_what_is_without_effect_there_is_named_so(window):
    found = window()
    for key in ("conv_dim", "conv_alpha", "unit", "factor", "stop_text_encoder_training_pct", "no_token_padding"):
        assert found.why(key) == "inert", key
    assert found.why("seed") == "unset"
    assert found.why("training_comment") == "project"


@pytest.mark.parametrize(
    ("unet", "text", "parts", "rates"),
    [
        (0, 0, (True, True, True), ("", "")),
        ("", "", (True, True, True), ("", "")),
        (0.0002, 0, (True, False, False), ("0.0002", "")),
        (0, 0.00005, (False, True, True), ("", "5e-05")),
        (0.0002, "5e-5", (True, True, True), ("0.0002", "5e-05")),
    ],
)
def test_rates_of_zero_mean_not_set(window, unet, text, parts, rates):
    found = window(optimizer="AdamW", optimizer_args="", learning_rate=1e-4, unet_lr=unet, text_encoder_lr=text)
    settings = resolve(found.settings)
    assert (settings.train_unet, settings.train_text_encoder_1, settings.train_text_encoder_2) == parts
    assert (settings.unet_lr, settings.text_encoder_lr) == rates
    assert ("kohya-zero-rates" in found.codes) == (not unet and not text)


def test_guides_own_settings_say_what_is_wrong_with_them(window):
    found = window(learning_rate=0.0003, unet_lr=0, text_encoder_lr=0, network_dim=96, network_alpha=48, epoch=4)
    assert {"kohya-zero-rates", "kohya-prodigy-rate"} <= found.codes
    assert found.settings["learning_rate"] == 0.0003
    mend = found.findings["kohya-prodigy-rate"]
    assert (mend.option, mend.value) == ("learning_rate", 1.0)
    assert found.findings["kohya-zero-rates"].value is False


def test_epochs_of_a_file_without_max_train_steps_count_and_the_1600_are_told(window):
    found = window()
    assert found.settings["max_train_epochs"] == 160
    assert "1,600" in found.findings["kohya-1600-steps"].message


def test_max_train_steps_switches_the_epochs_off(window):
    found = window(max_train_steps=1600, epoch=4)
    assert "max_train_epochs" not in found.settings
    assert found.why("epoch") == "inert"
    assert found.findings["kohya-epoch-ignored"].value == 4
    assert found.why("max_train_steps") == "differs"


def test_max_train_steps_become_epochs_where_the_project_is_known(window):
    found = window(steps_per_epoch=750, max_train_steps="1600", epoch=4)
    assert found.settings["max_train_epochs"] == 2
    assert "1,500 steps" in found.findings["kohya-max-train-steps"].message


@pytest.mark.parametrize("steps", [0, "0", ""])
def test_cleared_max_train_steps_leave_the_epochs_in_force(window, steps):
    found = window(max_train_steps=steps, epoch="7")
    assert found.settings["max_train_epochs"] == 7
    assert not found.codes & {"kohya-1600-steps", "kohya-max-train-steps"}


def test_max_train_epochs_go_over_both(window):
    found = window(max_train_steps=1600, epoch=4, max_train_epochs="12")
    assert found.settings["max_train_epochs"] == 12
    assert found.why("epoch") == found.why("max_train_steps") == "inert"


@pytest.mark.parametrize(
    ("percent", "steps", "wanted"), [(10, None, 0.1), ("5", None, 0.05), (10, 200, 200), (0, 0, 0), (10, "0", 0.1)]
)
def test_warm_up_in_percent_becomes_a_share(window, percent, steps, wanted):
    found = window(lr_warmup=percent, lr_warmup_steps=steps, lr_scheduler="cosine")
    assert found.settings["lr_warmup_steps"] == pytest.approx(wanted)


def test_constant_schedule_with_a_warm_up_is_told(window):
    found = window(lr_warmup=10)
    assert "kohya-constant-warmup" in found.codes
    assert resolve(found.settings).schedule == "constant_with_warmup"


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("LyCORIS/LoHa", "LyCORIS/LoHa"),
        ("LyCORIS/LoKr", "LyCORIS/LoKr"),
        ("LyCORIS/DyLoRA", "LyCORIS/DyLoRA"),
        ("LyCORIS/iA3", "LyCORIS/iA3"),
        ("LyCORIS/GLoRA", "LyCORIS/GLoRA"),
        ("LyCORIS/Diag-OFT", "LyCORIS/Diag-OFT"),
        ("LyCORIS/BOFT", "LyCORIS/BOFT"),
        ("LyCORIS/Native Fine-Tuning", "LyCORIS/Native Fine-Tuning"),
        ("Kohya DyLoRA", "DyLoRA"),
        ("Kohya LoHa", "LoHa"),
        ("Kohya LoKr", "LoKr"),
        ("LoRA-FA", "LoRA-FA"),
    ],
)
def test_kinds_of_lora_that_are_not_there_are_named(window, kind, name):
    found = window(LoRA_type=kind)
    assert name in found.findings["kohya-lora-type"].message
    assert found.why("LoRA_type") == "unsupported"
    keeps = name in ("LyCORIS/DyLoRA", "DyLoRA", "LoRA-FA")
    assert ("network_dim" in found.settings) == keeps
    assert ("network_dim" in found.left) != keeps


@pytest.mark.parametrize("kind", ["Kohya LoCon", "LyCORIS/LoCon", "LoCon"])
def test_locon_keeps_its_convolutions(window, kind):
    found = window(LoRA_type=kind, rank_dropout=0.1)
    assert (found.settings["conv_dim"], found.settings["conv_alpha"]) == (32, 32.0)
    assert found.settings["rank_dropout"] == 0.1
    assert ("kohya-lycoris-locon" in found.codes) == (kind != "Kohya LoCon")


def test_dora_is_not_dropped_in_silence(window):
    assert window(LoRA_type="LyCORIS/LoCon", dora_wd=True).why("dora_wd") == "unsupported"


def test_blocks_with_ranks_of_their_own_are_told(window):
    found = window(block_dims="2,2,2", down_lr_weight="1,1,0")
    assert found.why("block_dims") == "unsupported"
    assert "kohya-blocks" in found.codes


def test_only_the_chosen_kind_of_noise_counts(window):
    offset = window(noise_offset=0.05, multires_noise_iterations=8, multires_noise_discount=0.2)
    assert (offset.settings["noise_offset"], offset.settings["multires_noise_iterations"]) == (0.05, 0)
    assert offset.why("multires_noise_iterations") == "inert"
    multires = window(
        noise_offset_type="Multires", noise_offset=0.05, multires_noise_iterations=8, multires_noise_discount=0.2
    )
    assert (multires.settings["noise_offset"], multires.settings["multires_noise_iterations"]) == (0.0, 8)
    assert multires.settings["multires_noise_discount"] == 0.2
    assert multires.why("noise_offset") == "inert"


@pytest.mark.parametrize(
    ("key", "given", "option", "value"),
    [
        ("max_grad_norm", 0, "max_grad_norm", 1.0),
        ("prior_loss_weight", 0, "prior_loss_weight", 1.0),
        ("network_alpha", 0, "network_alpha", 1.0),
        ("network_dim", "0", "network_dim", 4),
        ("lr_scheduler_power", "", "lr_scheduler_power", 1.0),
    ],
)
def test_zeros_that_are_none_are_what_sd_scripts_takes(window, key, given, option, value):
    found = window(**{key: given})
    assert found.settings[option] == value
    assert "not set" in found.carried[key].note


@pytest.mark.parametrize(
    ("key", "given", "option", "value"),
    [
        ("train_batch_size", "3", "train_batch_size", 3),
        ("train_batch_size", 3.0, "train_batch_size", 3),
        ("keep_tokens", "1", "keep_tokens", 1),
        ("min_snr_gamma", "5", "min_snr_gamma", 5.0),
        ("shuffle_caption", "True", "shuffle_caption", True),
        ("gradient_checkpointing", "false", "gradient_checkpointing", False),
        ("max_resolution", "768", "resolution", "768,768"),
        ("max_resolution", "1024, 1024", "resolution", "1024,1024"),
        ("max_token_length", "225", "max_token_length", 225),
        ("seed", "1234", "seed", 1234),
        ("optimizer", "adafactor", "optimizer_type", "Adafactor"),
        ("optimizer", "PagedAdamW8bit", "optimizer_type", "bitsandbytes.optim.PagedAdamW8bit"),
        ("caption_dropout_every_n_epochs", 2.0, "caption_dropout_every_n_epochs", 2),
        ("fp8_base", True, "base_weights", "fp8"),
        ("v_parameterization", True, "v_parameterization", "true"),
        ("sdxl_cache_text_encoder_outputs", True, "cache_text_encoder_outputs", True),
        ("vae_batch_size", 4, None, "always"),
        ("full_bf16", True, None, "unsupported"),
        ("color_aug", True, None, "unsupported"),
        ("pretrained_model_name_or_path", "C:/models/x.safetensors", None, "project"),
        ("train_data_dir", "../../x", None, "project"),
        ("output_name", "../../x", None, "project"),
        ("network_weights", "/x/y.safetensors", None, "project"),
        ("num_processes", 2, None, "program"),
        ("flux1_cache_text_encoder_outputs", True, None, "model"),
        ("train_batch_size", "many", None, "bad-value"),
        ("train_batch_size", {"a": 1}, None, "bad-value"),
        ("network_dim", float("nan"), None, "bad-value"),
        ("network_dim", 10**400, None, "bad-value"),
        ("mixed_precision", "fp8", None, "bad-value"),
        ("what_is_this", 3, None, "unknown"),
    ],
)
def test_values_in_every_spelling(window, key, given, option, value):
    found = window(**{key: given})
    if option is None:
        assert found.why(key) == value
    else:
        assert found.settings[option] == value


def test_old_and_new_names_read_alike(window):
    old = window(xformers=True, lora_network_weights="/x.safetensors", optimizer=None, use_8bit_adam=True)
    assert old.settings["optimizer_type"] == "AdamW8bit"
    assert old.why("lora_network_weights") == "project"
    assert old.why("xformers") == "always"


def test_an_optimizer_that_is_not_there_takes_its_rates_along(window):
    found = window(optimizer="AdamWScheduleFree")
    assert not {"optimizer_type", "learning_rate", "optimizer_args"} & set(found.settings)
    assert found.why("learning_rate") == "unsupported"
    assert "AdamWScheduleFree" in found.findings["kohya-optimizer"].message


def test_commas_between_arguments_are_told(window):
    found = window(optimizer_args="weight_decay=0.01, decouple=True")
    assert found.why("optimizer_args") == "bad-value"
    assert "kohya-optimizer-args" in found.codes


def test_additional_parameters_are_arguments_too(window):
    extra = '--zero_terminal_snr --caption_prefix "ohwx," --max_grad_norm=0.5 --nonsense 1'
    found = window(additional_parameters=extra, max_grad_norm=1)
    assert found.settings["zero_terminal_snr"] == "true"
    assert found.settings["caption_prefix"] == "ohwx,"
    assert found.settings["max_grad_norm"] == 0.5
    assert found.why("max_grad_norm") == "inert"
    assert found.why("additional_parameters: --nonsense") == "unknown"


def test_prompts_are_taken_and_a_path_is_not(window):
    found = window(sample_prompts="# mine\nohwx, a man --w 1024 --h 1024 --d 1\n/x/prompts.txt\nohwx --zz 1")
    assert found.settings["sample_prompts"] == ["ohwx, a man --w 1024 --h 1024 --d 1"]
    assert {line.why for line in found.outcome.left_out if line.key == "sample_prompts"} == {"project", "bad-value"}


def test_tokens_and_keys_are_never_shown(window):
    found = window(huggingface_token="hf_secret", wandb_api_key="w_secret", keep_tokens=2)
    assert "secret" not in repr(found.outcome)
    assert found.carried["keep_tokens"].given == "2"


def test_files_for_other_models_say_so():
    found = Read(gui.read({"LoRA_type": "Flux1", "flux1_checkbox": True, "max_resolution": "512,512", "epoch": 1}))
    assert {"kohya-other-model", "kohya-small-resolution", "kohya-lora-type"} <= found.codes


def test_what_is_not_there_is_told_before_all_else(window):
    found = window(LoRA_type="LyCORIS/LoHa", learning_rate=0.0003, unet_lr=0, text_encoder_lr=0, max_train_steps=1600)
    codes = [finding.code for finding in found.outcome.findings]
    assert codes[0] == "kohya-lora-type"
    assert len(codes) > 2
    levels = [finding.level for finding in found.outcome.findings]
    assert levels == sorted(levels, key=["warning", "note"].index)


def test_off_text_cache_is_offered(window):
    assert window(text_encoder_lr=0).findings["kohya-text-cache"].value is True


def test_one_written_by_hand_needs_nothing_that_only_the_window_has(read):
    found = read("k.json", '{"network_dim": 8, "learning_rate": 1e-4, "epoch": 5, "train_batch_size": 1}')
    assert found.settings["network_dim"] == 8
    assert found.settings["max_train_epochs"] == 5
