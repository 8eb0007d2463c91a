"""A person's own presets: saved without what belongs to a project, and read although anybody may have written them."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import pytest

from engine.plan import own_presets, presets
from engine.plan.errors import UserError
from engine.plan.presets import OF_THE_PROJECT
from engine.plan.settings import resolve

MINE = {"network_dim": 24, "train_batch_size": 3, "optimizer_type": "AdamW", "learning_rate": 1e-4}
PROJECTS = {
    "pretrained_model_name_or_path": "/home/zoe/secret.safetensors", "output_name": "zibo", "vae": "/home/zoe/vae",
    "training_comment": "trigger: zibo", "sample_prompts": ["zibo"], "caption_prefix": "zibo, ",
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "config" / "presets"


def broken(folder: Path, name: str, content: str | bytes) -> str:
    """Why a file of this content is no preset."""
    folder.mkdir(parents=True, exist_ok=True)
    data = content.encode() if isinstance(content, str) else content
    (folder / f"{name}.toml").write_bytes(data)
    whole, unusable = own_presets.found(folder)
    assert [preset.name for preset in whole] == []
    (one,) = unusable
    assert one.name == name
    assert one.why.code == "bad-preset"
    return str(one.why)


def refused(folder: Path, name: str, **also: bool) -> str:
    with pytest.raises(UserError) as caught:
        own_presets.save(folder, name, resolve(MINE), **also)
    return caught.value.code


def test_what_is_saved_comes_back_without_what_is_the_projects(folder):
    path = own_presets.save(folder, "my faces", resolve(MINE | PROJECTS), "For the\nfaces I draw.")
    preset = own_presets.load(folder, "my faces")
    assert (preset.name, preset.title, preset.when, preset.own) == (
        "my faces",
        "my faces",
        "For the faces I draw.",
        True,
    )
    assert resolve(preset.settings) == resolve(MINE)
    text = path.read_text()
    assert not [word for word in ("zibo", "zoe", *OF_THE_PROJECT) if word in text]
    assert own_presets.found(folder) == ([preset], [])


@pytest.mark.parametrize(
    "name",
    ["../x", "a/b", "a\\b", "/etc/x", "..", ".", ".hidden", "-rf", "", " ", "a\nb", "a\x1b[2J", "a\0b", "C:x", "x" * 61,
     "a\u202eb", "\udcff"],
)  # fmt: skip
def test_names_with_path_tricks_are_refused(folder, name):
    assert refused(folder, name, force=True) == "bad-name"
    assert not folder.exists()
    with pytest.raises(UserError) as caught:
        own_presets.remove(folder, name)
    assert caught.value.code == "unknown-preset"


@pytest.mark.parametrize("name", ["guide", "Guide", "GUIDE.toml", "low-memory-8gb"])
def test_names_of_built_in_presets_are_refused(folder, name):
    assert refused(folder, name, force=True) == "built-in-preset"
    with pytest.raises(UserError) as caught:
        own_presets.remove(folder, name)
    assert caught.value.code == "built-in-preset"


def test_an_older_one_is_only_written_over_by_force(folder):
    own_presets.save(folder, "mine", resolve({"network_dim": 8}))
    assert refused(folder, "mine") == "exists"
    assert own_presets.load(folder, "mine").settings == {"network_dim": 8}
    own_presets.save(folder, "mine", resolve({"network_dim": 9}), force=True)
    assert own_presets.load(folder, "mine").settings == {"network_dim": 9}


def test_one_that_is_removed_is_gone_and_the_others_stay(folder):
    own_presets.save(folder, "one", resolve(MINE))
    own_presets.save(folder, "two", resolve(MINE))
    own_presets.remove(folder, "one")
    assert [path.name for path in folder.iterdir()] == ["two.toml"]
    with pytest.raises(UserError) as caught:
        own_presets.remove(folder, "one")
    assert caught.value.code == "unknown-preset"
    assert "two" in caught.value.hint


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("x = [", "line 1: this is not valid TOML"),
        (b"\xff", "is not UTF-8"),
        ("title = 5", "title must be a text"),
        ("when = []", "when must be a text"),
        ("notes = 1", "notes must be a list"),
        ("notes = [1]", "notes must be a text"),
        ("settings = 1", "[settings] must be a table"),
        ("[setings]\nnetwork_dim = 8", '"setings" is no part of a preset'),
        ("[settings]\nnetwork_dimm = 8", '"network_dimm" is not an option'),
        ("[settings]\nnetwork_dim = 'x'", "network_dim must be a whole number"),
        ("[settings]\nnetwork_dim = nan", "network_dim must be"),
        ("[settings]\nmax_train_steps = 1600", "max_train_steps is not an option here"),
        ("[settings]\noptimizer_args = [\"d0=__import__('os')\"]", "has a value that is neither"),
        ("x = " + "[" * 5000, "brackets"),
        ("# " + "x" * own_presets.MOST_BYTES, "too large"),
    ],
)
def test_a_broken_file_is_one_sentence_and_harms_nothing(folder, content, says):
    why = broken(folder, "odd", content)
    assert says in why
    assert "\n" not in why


def test_a_file_with_the_name_of_a_built_in_one_does_not_take_its_place(folder):
    assert "comes with the program" in broken(folder, "guide", "[settings]\nnetwork_dim = 8")
    assert resolve(presets.load("guide").settings) == resolve()


def test_a_pipe_and_a_folder_are_not_waited_for(folder):
    folder.mkdir(parents=True)
    os.mkfifo(folder / "pipe.toml")
    (folder / "folder.toml").mkdir()
    (folder / "lost.toml").symlink_to(folder / "nowhere")
    whole, unusable = own_presets.found(folder)
    assert (whole, [one.name for one in unusable]) == ([], ["folder", "lost", "pipe"])


def test_a_stranger_s_file_sets_no_path_and_says_so(folder):
    folder.mkdir(parents=True)
    lines = [f"{name} = {value!r}" for name, value in PROJECTS.items()]
    lines += ["network_dim = 8"]
    text = 'title = "\\u001b[2Jx"\nnotes = ["a\\nb"]\n[settings]\n' + "\n".join(lines)
    tomllib.loads(text)
    (folder / "given.toml").write_text(text)
    preset = own_presets.load(folder, "given")
    assert preset.settings == {"network_dim": 8}
    assert preset.title == "\\x1b[2Jx"
    assert preset.notes[0] == "a b"
    assert preset.notes[1].startswith("Its file also sets pretrained_model_name_or_path, output_name, vae and ")


def test_where_nothing_was_ever_saved_there_is_nothing(folder):
    assert own_presets.found(folder) == ([], [])
