"""Rates of U-Net and text encoders, which decide in kohya's files what is trained, after semantics.md 1.0 and 1.12."""

from __future__ import annotations

import json

import pytest

from engine.plan.kohya.opening import read as open_file
from tests.plan.kohya.asked import PARTS, Read
from tests.plan.kohya.test_lora_file import RUN, TEXT, UNET, lora

UNREAD = ["0,0001", "fast", float("nan"), float("inf"), [1e-4], {"a": 1}, True]


def trained(found: Read) -> tuple[object, ...]:
    return tuple(found.settings.get(part) for part in PARTS)


# ---------------------------------------------------------------------------------------------- kohya_ss' window
@pytest.mark.parametrize("value", UNREAD)
@pytest.mark.parametrize(
    ("rate", "other", "value_of_other", "parts"),
    [
        ("unet_lr", "text_encoder_lr", 5e-5, (None, True, True)),  # were it 0, the text encoders alone
        ("unet_lr", "text_encoder_lr", 0, (True, None, None)),  # the U-Net, and all if both were 0
        ("text_encoder_lr", "unet_lr", 1e-4, (True, None, None)),
        ("text_encoder_lr", "unet_lr", "", (None, True, True)),
        ("text_encoder_lr", "unet_lr", None, (None, None, None)),
    ],
)
def test_a_rate_that_cannot_be_read_is_no_zero(window, value, rate, other, value_of_other, parts):
    found = window(optimizer="AdamW", optimizer_args="", **{rate: value, other: value_of_other})
    assert found.why(rate) == "bad-value"
    assert rate not in found.settings
    assert trained(found) == parts
    told = found.findings["kohya-rates-unread"]
    assert told.level == "warning"
    assert "kohya-zero-rates" not in found.codes
    if value_of_other is None:
        assert other not in found.settings
    else:
        assert ("whether the U-Net" in told.message) == (parts[0] is None)
        assert ("text encoders are trained" in told.message) == (parts[1] is None)


def test_two_rates_that_cannot_be_read_are_not_both_zero(window):
    found = window(unet_lr="0,0001", text_encoder_lr="x")
    assert trained(found) == (None, None, None)
    assert {found.why("unet_lr"), found.why("text_encoder_lr")} == {"bad-value"}
    assert "kohya-zero-rates" not in found.codes
    assert found.findings["kohya-rates-unread"].message.startswith("The rates of the U-Net and the text encoders")


def test_a_rate_that_the_file_lacks_is_what_stands_in_the_window_and_is_told(window):
    found = window(optimizer="AdamW", optimizer_args="", unet_lr=None, text_encoder_lr=5e-5)
    assert trained(found) == (True, True, True)
    assert found.settings["unet_lr"] == "0.0001"
    assert "unet_lr" not in found.carried
    assert "the file does not say" in next(line.note for line in found.outcome.carried if line.option == "unet_lr")


@pytest.mark.parametrize(
    ("extra", "parts"),
    [
        ("--network_train_unet_only", (True, False, False)),
        ("--network_train_text_encoder_only", (False, True, True)),
        ("--text_encoder_lr 0", (True, False, False)),
        ("--unet_lr=0", (False, True, True)),
    ],
)
def test_additional_parameters_go_over_the_rates_of_the_window(window, extra, parts):
    found = window(optimizer="AdamW", unet_lr=1e-4, text_encoder_lr=5e-5, additional_parameters=extra)
    assert trained(found) == parts
    key = f"additional_parameters: {extra.split()[0].split('=')[0]}"
    assert key in found.carried.keys() | found.left.keys()


def test_a_switch_that_cannot_be_read_is_not_said_to_be_off(window):
    found = window(additional_parameters="--network_train_unet_only maybe")
    assert found.why("additional_parameters: --network_train_unet_only") == "bad-value"


# -------------------------------------------------------------------------------------------------- configurations
CONFIG = "network_dim = 8\nlearning_rate = 1e-4\nmax_train_epochs = 1\n"


@pytest.mark.parametrize("value", ['"0,0001"', "nan", "inf", "true", '["x"]', "[[1e-5]]", "{ a = 1 }"])
@pytest.mark.parametrize(("rate", "parts"), [("unet_lr", (None, True, True)), ("text_encoder_lr", (True, None, None))])
def test_a_rate_of_a_configuration_that_cannot_be_read(read, rate, value, parts):
    found = read("c.toml", f"[network]\n{CONFIG}{rate} = {value}\n")
    assert found.why(rate) == "bad-value"
    assert rate not in found.settings
    assert trained(found) == parts
    assert "kohya-rates-unread" in found.codes


def test_what_a_switch_says_is_known_without_the_rate(read):
    found = read("c.toml", f'{CONFIG}network_train_unet_only = true\ntext_encoder_lr = "x"\n')
    assert trained(found) == (True, False, False)
    assert found.why("text_encoder_lr") == "bad-value"
    assert "kohya-rates-unread" not in found.codes


def test_several_rates_of_the_unet_are_not_cut_to_one(read):
    assert read("c.toml", f"{CONFIG}unet_lr = [1e-4, 2e-4]\n").why("unet_lr") == "bad-value"


def test_a_rate_of_zero_also_counts_beside_an_optimizer_that_is_not_there(read):
    found = read("c.toml", f'{CONFIG}optimizer_type = "AdamWScheduleFree"\ntext_encoder_lr = 0\n')
    assert trained(found) == (True, False, False)
    assert found.why("text_encoder_lr") == "unsupported"


# ------------------------------------------------------------------------------------------------- metadata of LoRAs
@pytest.mark.parametrize(
    ("tensors", "key", "option", "words"),
    [((UNET,), "ss_text_encoder_lr", "text_encoder_lr", "text encoders"), ((TEXT,), "ss_unet_lr", "unet_lr", "U-Net")],
)
def test_a_rate_of_a_part_that_the_lora_lacks_is_listed(tmp_path, tensors, key, option, words):
    metadata = RUN | {"ss_unet_lr": "0.0002", "ss_text_encoder_lr": "5e-05"}
    found = Read(open_file(lora(tmp_path / "x.safetensors", metadata, tensors)))
    assert found.left[key].why == "inert"
    assert found.left[key].given == metadata[key]
    assert f"no layers of the {words}, so their rate" in found.left[key].reason.replace("its rate", "their rate")
    assert key not in found.carried
    assert found.settings[option] == ""  # a rate of an untrained part is only in the way


def test_a_list_of_rates_in_metadata_is_read(tmp_path):
    metadata = RUN | {"ss_text_encoder_lr": json.dumps([5e-05, 2e-05])}
    found = Read(open_file(lora(tmp_path / "x.safetensors", metadata, (UNET, TEXT))))
    assert found.settings["text_encoder_lr"] == "5e-05"
    assert "first" in found.carried["ss_text_encoder_lr"].note


def test_layers_tell_the_parts_although_a_rate_cannot_be_read(tmp_path):
    found = Read(open_file(lora(tmp_path / "x.safetensors", RUN | {"ss_unet_lr": "NaN"}, (UNET, TEXT))))
    assert found.why("ss_unet_lr") == "bad-value"
    assert trained(found) == (True, True, False)
    assert "kohya-rates-unread" not in found.codes
