"""Files that are no settings, or not only: one clear line each, and never a traceback."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from engine.plan.errors import UserError
from engine.plan.kohya import gui, opening
from engine.plan.kohya.opening import MAX_BYTES
from engine.plan.kohya.opening import read as open_file
from engine.plan.settings import resolve

NESTED = "[" * 100_000
ONE_TRAINER = {
    "__version": 6,
    "learning_rate": 1e-4,
    "resolution": "1024",
    "batch_size": 2,
    "optimizer": {"a": 1},
    "gradient_checkpointing": True,
    "output_dtype": "BFLOAT_16",
    "noise_offset": 0.0,
}


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("x.json", "", "not-json"),
        ("x.json", "{", "not-json"),
        ("x.json", '{"a": 1}', "not-kohya"),
        ("x.json", '{"name": "x", "version": "1", "dependencies": {}}', "not-kohya"),
        ("x.json", "3", "not-kohya"),
        ("x.json", json.dumps(ONE_TRAINER), "not-kohya"),
        ("x.toml", 'output_dir = "/x"\nepochs = 3\n[adapter]\ntype = "lora"\nrank = 32', "not-kohya"),
        ("x.json", "null", "not-kohya"),
        ("x.json", NESTED, "not-kohya"),
        ("x.json", '{"epoch": ' * 5000, "not-kohya"),
        ("x.json", '{"epoch":' + "[" * 50 + "]" * 50 + "}", "not-kohya"),
        ("x.json", '{"epoch": ' + "9" * 5000 + "}", "not-json"),
        ("x.json", b"\xff\xfe{\x00", "not-text"),
        ("x.json", b'{"a": "\x00"}', "not-text"),
        ("x.json", "[1, 2]", "bad-prompt-file"),
        ("x.json", b" " * (MAX_BYTES + 1), "too-large"),
        ("x.toml", "a = ", "not-toml"),
        ("x.toml", "network_dim = 1\nnetwork_dim = 2", "not-toml"),
        ("x.toml", "a = " + NESTED, "not-kohya"),
        ("x.toml", "n = " + "9" * 5000, "not-kohya"),
        ("x.toml", "colour = 3", "not-kohya"),
        ("x.toml", "[tool.ruff]\nline-length = 3", "not-kohya"),
        ("x.txt", "", "bad-prompt-file"),
        ("x.txt", b"\xff\xff", "bad-prompt-file"),
        ("x.safetensors", b"", "truncated"),
        ("x.safetensors", (10**15).to_bytes(8, "little") + b"{}", "not-safetensors"),
        ("x.safetensors", (90).to_bytes(8, "little") + b"{}", "truncated"),
        ("x.safetensors", (2).to_bytes(8, "little") + b"xx", "damaged"),
        ("x.safetensors", b"PK\x03\x04" + bytes(100), "is-a-pickle"),
        ("no-suffix", "just words", "not-toml"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(tmp_path, name, content, code):
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(UserError) as refused:
        open_file(path)
    assert refused.value.code == code
    assert "\n" not in str(refused.value)
    assert "SDXL" not in str(refused.value)  # a LoRA is wanted, and no base model
    assert len(str(refused.value)) < 1500


@pytest.mark.parametrize(("name", "code"), [("none.json", "no-such-file"), (".", "not-a-file")])
def test_what_is_not_there(tmp_path, name, code):
    with pytest.raises(UserError) as refused:
        open_file(tmp_path / name)
    assert refused.value.code == code


def test_nan_infinity_and_huge_numbers_are_told_one_by_one(read, ai_now):
    text = json.dumps(ai_now)[:-1] + ', "network_alpha": NaN, "noise_offset": Infinity, "min_snr_gamma": 1e999}'
    found = read("x.json", text)
    assert {found.why(key) for key in ("network_alpha", "noise_offset", "min_snr_gamma")} == {"bad-value"}
    assert "kohya-twice" in found.codes


def test_keys_that_stand_there_twice_are_told(read, ai_now):
    found = read("x.json", json.dumps(ai_now)[:-1] + ', "network_dim": 8}')
    assert found.settings["network_dim"] == 8
    assert "network_dim" in found.findings["kohya-twice"].message


def test_escapes_in_keys_and_values_are_inert(read, ai_now):
    found = read("x.json", json.dumps(ai_now | {"\x1b[2J": "\x1b]0;x\x07", "training_comment": "\x1b[31m\n"}))
    assert "\x1b" not in "".join(f"{line.key}{line.given}{line.reason}" for line in found.outcome.left_out)
    assert all("\n" not in line.given for line in found.outcome.left_out)


def test_no_path_of_the_file_gets_into_the_settings(read, ai_now):
    keys = ("output_name", "output_dir", "train_data_dir", "reg_data_dir", "vae", "resume", "logging_dir")
    found = read("x.json", json.dumps(ai_now | dict.fromkeys(keys, "../../etc/passwd")))
    assert "passwd" not in repr(found.settings)
    assert set(keys) <= set(found.left)


def test_metadata_of_a_lora_that_lies(tmp_path):
    wrong = {
        "ss_network_dim": "many", "ss_learning_rate": "NaN", "ss_network_args": "{" * 10_000, "ss_datasets": "[[[",
        "ss_optimizer": "x" * 100_000, "ss_resolution": "(9" + "9" * 5000 + ")", "ss_num_epochs": "-1",
        "ss_network_module": "../../x", "lora_tui.settings": "[1]",
    }  # fmt: skip
    header = json.dumps({"__metadata__": wrong}).encode()
    path = tmp_path / "x.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    found = open_file(path)
    assert found.settings.keys() <= {"train_unet"}
    assert {line.why for line in found.left_out} <= {"bad-value", "unsupported", "unknown", "unset"}


def test_thousands_of_keys_are_not_listed(read, ai_now):
    found = read("x.json", json.dumps(ai_now | {f"k{number}": 1 for number in range(5_000)}))
    assert len(found.outcome.left_out) < 400
    assert found.why("4,900 more keys") == "unknown"
    many = "".join(f"k{number} = 1\n" for number in range(5_000))
    data = read("x.toml", f"[general]\n{many}" + "[[datasets]]\nresolution = 512\n" * 300)
    assert len(data.outcome.left_out) < 400


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
_KEYS = st.sampled_from([*sorted(opening._KNOWN), "additional_parameters"]) | st.text(max_size=12)


@given(st.dictionaries(_KEYS, _JSON, max_size=12))
@hypothesis_settings(max_examples=40, deadline=None)
def test_any_window_is_read_and_each_key_accounted_for(table):
    found = gui.read(table, 10)
    resolve(found.settings)
    told = {line.key for line in found.carried} | {line.key for line in found.left_out}
    shown = {key for key in table if key != "additional_parameters" and key.isprintable() and len(key) < 100}
    assert shown - told == set()


@given(st.binary(max_size=300), st.sampled_from(["x.json", "x.toml", "x.txt", "x.safetensors", "x"]))
@hypothesis_settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_read_or_refused(tmp_path, data, name):
    path = tmp_path / name
    path.write_bytes(data)
    with contextlib.suppress(UserError):
        resolve(open_file(path).settings)


@given(st.dictionaries(_KEYS.filter(lambda key: "\x00" not in key), _JSON, max_size=8))
@hypothesis_settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_json_is_read_or_refused(tmp_path, table):
    path = tmp_path / "x.json"
    path.write_text(json.dumps(table))
    with contextlib.suppress(UserError):
        resolve(open_file(path, 5).settings)
