"""LyCORIS' LoCon: what makes another LoRA of it is a warning, and "the same mathematics" is said only where it is."""

from __future__ import annotations

import json

import pytest

from engine.plan.kohya.opening import read as open_file
from tests.plan.kohya.asked import Read
from tests.plan.kohya.test_lora_file import RUN, lora

OTHER = [
    ("dora_wd", "DoRA"),
    ("train_norm", "normalisation layers"),
    ("use_scalar", "a learnt scale"),
    ("use_tucker", "Tucker"),
]


@pytest.mark.parametrize(("key", "words"), OTHER)
@pytest.mark.parametrize("kind", ["LyCORIS/LoCon", "LoCon"])
def test_what_makes_another_lora_of_a_locon_is_a_warning(window, kind, key, words):
    found = window(LoRA_type=kind, **{key: True})
    assert words in found.findings["kohya-lora-type"].message
    assert found.findings["kohya-lora-type"].level == "warning"
    assert "kohya-lycoris-locon" not in found.codes
    assert found.why(key) == found.why("LoRA_type") == "unsupported"
    assert found.settings["network_dim"] == 32  # which means the same


def config(read, arguments: str, more: str = "") -> Read:
    network = f'network_module = "lycoris.kohya"\nnetwork_args = {arguments}\n'
    found = read("c.toml", f"{network}network_dim = 8\nnetwork_alpha = 4\nmax_train_epochs = 1\n{more}")
    assert isinstance(found, Read)
    return found


@pytest.mark.parametrize(
    ("key", "words"), [*OTHER, ("rs_lora", "rank-stabilised"), ("use_cp", "Tucker"), ("weight_decompose", "DoRA")]
)
def test_the_same_in_a_configuration(read, key, words):
    found = config(read, f'["algo=locon", "{key}=True"]')
    assert words in found.findings["kohya-lora-type"].message
    assert found.why(f"network_args: {key}") == "unsupported"
    assert "mathematics" not in repr(found.outcome)


def test_the_same_in_metadata(tmp_path):
    metadata = RUN | {"ss_network_module": "lycoris.kohya", "ss_network_args": json.dumps({"dora_wd": "True"})}
    found = Read(open_file(lora(tmp_path / "x.safetensors", metadata)))
    assert "DoRA" in found.findings["kohya-lora-type"].message


def test_several_are_told_in_one_warning(read):
    found = config(read, '["dora_wd=True", "train_norm=True", "preset=attn-only"]')
    told = found.findings["kohya-lora-type"].message
    assert "with DoRA, trained normalisation layers and the layers of the preset attn-only, which" in told


@pytest.mark.parametrize(
    ("argument", "why"),
    [
        ("dora_wd=False", "unset"),
        ("bypass_mode=True", "always"),
        ("full_matrix=True", "inert"),
        ("unbalanced_factorization=True", "inert"),
        ("factor=8", "inert"),
        ("constraint=1", "inert"),
        ("wd_on_output=True", "inert"),
        ("rank_dropout_scale=True", "inert"),
        ("preset=full", "differs"),
        ("preset=attn-mlp", "always"),
    ],
)
def test_what_a_locon_passes_over_makes_no_other_one_of_it(read, argument, why):
    found = config(read, f'["algo=lora", "conv_dim=4", "{argument}"]')
    assert found.why(f"network_args: {argument.partition('=')[0]}") == why
    assert "the same mathematics" in found.findings["kohya-lycoris-locon"].message
    assert "kohya-lora-type" not in found.codes


@pytest.mark.parametrize("argument", ["what=1", "rank_dropout=0.1", "dropout=0.1"])
def test_the_same_mathematics_is_not_said_of_what_is_not_known_or_dropped(read, argument):
    message = config(read, f'["algo=lora", "{argument}"]').findings["kohya-lycoris-locon"].message
    assert "mathematics" not in message
    assert "what" in message or "dropout" in message


def test_without_convolutions_their_decomposition_is_without_effect(read):
    found = config(read, '["use_tucker=True", "conv_dim=0"]')
    assert found.why("network_args: use_tucker") == "inert"
    assert "kohya-lora-type" not in found.codes
    assert found.settings["conv_dim"] == 0


def test_convolutions_without_a_rank_have_the_rank_of_all_else(read):
    found = config(read, '["algo=locon"]')
    assert (found.settings["conv_dim"], found.settings["conv_alpha"]) == (8, 4.0)
    notes = {line.option: line.note for line in found.outcome.carried}
    assert notes["conv_dim"] == "the file does not say: LyCORIS takes network_dim"


def test_a_preset_without_convolutions_trains_none(read):
    found = config(read, '["preset=attn-mlp", "conv_dim=8", "conv_alpha=4"]')
    assert found.settings["conv_dim"] == 0
    assert found.why("network_args: conv_dim") == found.why("network_args: conv_alpha") == "inert"


def test_an_alpha_that_means_something_else_is_left_out(read):
    found = config(read, '["rs_lora=True", "conv_dim=4", "conv_alpha=2"]')
    assert not {"network_alpha", "conv_alpha"} & found.settings.keys()
    assert found.why("network_alpha") == found.why("network_args: conv_alpha") == "unsupported"
    assert (found.settings["network_dim"], found.settings["conv_dim"]) == (8, 4)


def test_lycoris_arguments_are_without_effect_beside_another_network(read):
    found = read("c.toml", 'network_module = "networks.lora"\nnetwork_args = ["dora_wd=True", "algo=lora"]\n')
    assert found.why("network_args: dora_wd") == found.why("network_args: algo") == "inert"
    assert "kohya-lora-type" not in found.codes
