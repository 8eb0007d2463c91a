"""Files are whole or untouched, messages are harmless, and nothing here loads torch."""

from __future__ import annotations

import errno
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.plan import presets
from engine.plan.errors import Finding, UserError, few, inert, plural
from engine.plan.files import atomic_write, sha256_file
from engine.plan.settings import resolve

ROOT = Path(__file__).resolve().parents[2]


def test_a_file_is_replaced_whole_and_keeps_its_permissions(tmp_path):
    target = tmp_path / "a"
    target.write_text("old", encoding="utf-8")
    target.chmod(0o600)
    atomic_write(target, "neu – ü")
    assert target.read_text(encoding="utf-8") == "neu – ü"
    assert target.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["a"]


def test_a_link_to_a_file_stays_a_link(tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    atomic_write(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize(
    ("number", "code"), [(errno.ENOSPC, "disk-full"), (errno.EDQUOT, "disk-full"), (errno.EROFS, "not-writable")]
)
def test_a_full_or_read_only_disk_leaves_the_old_file_and_names_the_disk(tmp_path, monkeypatch, call, number, code):
    target = tmp_path / "a"
    target.write_bytes(b"old")

    def fail(*_: object, **__: object) -> None:
        raise OSError(number, "no")

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(UserError) as caught:
        atomic_write(target, b"new")
    assert caught.value.code == code
    assert str(target) in caught.value.message
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


def test_the_checksum_of_a_file(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_file(tmp_path / "a").startswith("ba7816bf8f01cfea")


@given(st.text())
def test_inert_text_is_harmless_and_stays_as_it_is(text):
    once = inert(text)
    assert inert(once) == once
    assert not set(once) & set("\x1b\x07\r\n\u202e\u2066\x9b")
    once.encode("utf-8")


@pytest.mark.parametrize("text", ["plain", "Größe 10 × 10", "日本語", "🙂", "a b"])
def test_ordinary_text_stays_readable(text):
    assert inert(text) == text


def test_long_names_are_cut():
    assert len(inert("x" * 10_000)) < 1100


def test_an_error_reads_as_a_sentence_and_its_remedy_and_survives_a_process_boundary():
    error = UserError("a-code", "It is \x1b[31mred.", "Mend it.")
    assert str(error) == "It is \\x1b[31mred. Mend it."
    again = pickle.loads(pickle.dumps(error))
    assert (again.code, again.message, again.hint) == (error.code, error.message, error.hint)


def test_an_error_among_findings_stops_training_and_a_note_does_not():
    assert Finding("x", "X.", level="error").stops_training()
    assert Finding("x", "X.", level="error", overridable=False).stops_training(accept_warnings=True)
    assert not Finding("x", "X.", level="note").stops_training()
    assert not Finding("x", "X.").stops_training()


def test_counts_and_names_read_well():
    assert [plural(1, "picture"), plural(2, "picture"), plural(2, "batch", "batches")] == [
        "1 picture", "2 pictures", "2 batches",
    ]  # fmt: skip
    assert few(["a", "b", "c", "d"]) == "a, b, c and 1 more"


def test_every_preset_says_when_to_use_it_and_fits_the_options():
    assert {"guide", "demo", "ai-now-prodigy"} <= set(presets.names())
    for name in presets.names():
        preset = presets.load(name)
        assert preset.title
        assert preset.when.endswith(".")
        resolve(preset.settings)


def test_the_guides_preset_and_the_defaults_are_the_same():
    assert resolve(presets.load("guide").settings) == resolve()


def test_the_original_preset_of_kohya_keeps_its_numbers():
    settings = resolve(presets.load("ai-now-prodigy").settings)
    assert (settings.max_train_epochs, settings.save_every_n_epochs, settings.train_batch_size) == (160, 10, 8)
    assert (settings.network_dim, settings.network_alpha, settings.learning_rate) == (32, 16.0, 1.0)
    assert (settings.noise_offset, settings.caption_dropout_rate, settings.min_snr_gamma) == (0, 0, 5)


@pytest.mark.parametrize("name", ["gide", "../guide", "", "guide.toml"])
def test_an_unknown_preset_is_refused(name):
    with pytest.raises(UserError) as caught:
        presets.load(name)
    assert caught.value.code == "unknown-preset"


def test_planning_loads_neither_torch_nor_numpy():
    files = (ROOT / "engine" / "plan").glob("*.py")
    modules = [f"engine.plan.{file.stem}" for file in files if file.stem != "__init__"]
    script = (
        f"import sys, importlib\nfor name in {modules!r}: importlib.import_module(name)\n"
        "heavy = {'torch', 'numpy', 'diffusers', 'transformers', 'accelerate', 'peft', 'safetensors'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or None)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
