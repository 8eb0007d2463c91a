"""Values that are odd but plausible: nothing is invented, and every key has a true reason."""

from __future__ import annotations

import json

import pytest

from engine.plan.kohya.opening import read as open_file
from tests.plan.kohya.asked import Read
from tests.plan.kohya.test_lora_file import RUN, lora


# ------------------------------------------------------------------------------------------------------- the window
@pytest.mark.parametrize("steps", ["1.600", "1,600", float("nan"), [1600]])
def test_max_train_steps_that_cannot_be_read_are_no_zero(window, steps):
    found = window(max_train_steps=steps, epoch=4)
    assert found.why("max_train_steps") == "bad-value"
    assert found.settings["max_train_epochs"] == 4
    assert found.findings["kohya-length-unread"].level == "warning"


@pytest.mark.parametrize("key", ["fp8_base", "mem_eff_attn", "sdpa", "use_8bit_adam", "sdxl_no_half_vae"])
def test_switches_that_cannot_be_read_are_not_said_to_be_off(window, key):
    found = window(**{key: "maybe"})
    assert found.left[key].reason != "it is off"
    assert found.why(key) == ("always" if key == "sdxl_no_half_vae" else "bad-value")
    assert "base_weights" not in found.settings


def test_warm_up_steps_that_cannot_be_read_are_a_bad_value(window):
    found = window(lr_warmup_steps="abc", lr_warmup=10, lr_scheduler="cosine")
    assert found.why("lr_warmup_steps") == "bad-value"
    assert found.settings["lr_warmup_steps"] == 0.1


@pytest.mark.parametrize("empty", ["", 0])
def test_without_any_length_nothing_is_said_to_count(window, empty):
    found = window(epoch=empty, max_train_steps=empty)
    assert {found.why("epoch"), found.why("max_train_steps")} == {"unset"}
    assert "count" not in found.left["epoch"].reason + found.left["max_train_steps"].reason


@pytest.mark.parametrize("key", ["max_resolution", "caption_extension", "caption_separator"])
def test_an_empty_text_is_not_set_where_there_must_be_one(window, key):
    assert window(**{key: ""}).why(key) == "unset"


def test_a_length_among_the_additional_parameters_goes_over_the_epochs(window):
    found = window(10, epoch=4, additional_parameters="--max_train_steps 200")
    assert found.settings["max_train_epochs"] == 20
    assert found.why("epoch") == "inert"
    assert "kohya-1600-steps" not in found.codes


def test_network_args_among_the_additional_parameters_go_over_all_of_the_window(window):
    extra = "--network_args conv_dim=8"
    found = window(LoRA_type="Kohya LoCon", conv_dim=4, conv_alpha=2, rank_dropout=0.1, additional_parameters=extra)
    assert found.settings["conv_dim"] == 8
    assert "rank_dropout" not in found.settings
    assert {found.why(key) for key in ("conv_dim", "conv_alpha", "rank_dropout")} == {"inert"}


def test_network_args_beside_the_fields_of_the_window_go_over_them(window):
    found = window(network_args=["rank_dropout=0.2"], rank_dropout=0.1)
    assert found.settings["rank_dropout"] == 0.2
    assert found.why("rank_dropout") == "inert"


def test_words_and_repetitions_among_the_additional_parameters_are_listed(window):
    found = window(additional_parameters="oops --seed 1 --seed 2")
    assert found.settings["seed"] == 2
    assert (found.why("additional_parameters"), found.left["additional_parameters"].given) == ("bad-value", "oops")
    assert found.why("additional_parameters: --seed") == "inert"


def test_a_text_of_several_words_among_the_additional_parameters_is_one(window):
    found = window(additional_parameters="--sample_prompts ohwx, a man --caption_prefix ohwx man")
    assert found.settings["sample_prompts"] == ["ohwx, a man"]
    assert found.settings["caption_prefix"] == "ohwx man"


@pytest.mark.parametrize(("rate", "words"), [(0, "no learning rate"), (1e-4, "a rate of its own")])
def test_an_empty_learning_rate_has_a_true_reason(window, rate, words):
    found = window(optimizer="AdamW", learning_rate="", unet_lr=rate, text_encoder_lr=rate)
    assert words in found.left["learning_rate"].reason


def test_no_key_is_told_that_the_file_does_not_have(window):
    assert "additional_parameters" not in window(additional_parameters=None).left


# -------------------------------------------------------------------------------------------------- configurations
def test_keys_of_two_sections_are_told(read):
    found = read("c.toml", "[a]\nnetwork_dim = 8\nlearning_rate = 1e-4\n[b]\nnetwork_dim = 16\nmax_train_epochs = 1\n")
    assert found.settings["network_dim"] == 16
    assert "network_dim" in found.findings["kohya-twice"].message


def test_arguments_of_the_network_that_stand_there_twice_are_listed(read):
    found = read("c.toml", 'network_dim = 8\nnetwork_args = ["rank_dropout=0.1", "rank_dropout=0.2"]\n')
    assert found.settings["rank_dropout"] == 0.2
    assert found.left["network_args: rank_dropout"].given == "0.1"


def test_one_value_in_two_spellings_does_not_differ(read):
    subsets = '[[datasets.subsets]]\nflip_aug = "True"\nkeep_tokens = "1"\n[[datasets.subsets]]\nflip_aug = true\n'
    found = read("d.toml", f"[[datasets]]\nresolution = 512\n{subsets}keep_tokens = 1\n")
    assert (found.settings["flip_aug"], found.settings["keep_tokens"]) == (True, 1)


@pytest.mark.parametrize("key", ["network_args", "optimizer_args", "lr_scheduler_args"])
def test_arguments_that_are_a_table_are_a_bad_value(read, key):
    found = read("c.toml", f"[x]\nnetwork_dim = 8\nmax_train_epochs = 1\n{key} = {{ a = 1 }}\n")
    assert found.why(key) == "bad-value"
    assert key not in found.settings


# ------------------------------------------------------------------------------------------------- metadata of LoRAs
@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("ss_optimizer", "", "unset"),
        ("ss_optimizer", "torch.optim.AdamW(weight_decay=0.01", "bad-value"),
        ("ss_network_args", "null", "unset"),
        ("ss_network_args", "[]", "unset"),
        ("ss_datasets", "", "unset"),
        ("ss_resolution", "None", "unset"),
        ("ss_optimizer_type", "AdamW", "inert"),
    ],
)
def test_every_key_of_a_lora_is_told(tmp_path, key, value, why):
    assert Read(open_file(lora(tmp_path / "x.safetensors", RUN | {key: value}))).why(key) == why


def test_a_preset_that_is_none_is_none(tmp_path):
    network = {"ss_network_module": "lycoris.kohya", "ss_network_args": json.dumps({"preset": None})}
    found = Read(open_file(lora(tmp_path / "x.safetensors", RUN | network)))
    assert found.why("ss_network_args: preset") == "unset"
    assert "kohya-lycoris-locon" in found.codes
