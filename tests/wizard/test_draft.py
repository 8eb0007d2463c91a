"""The edited project: saved at once, beside a text editor, and never at the price of what was typed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from engine.plan.project import Project
from engine.runs.places import state_dir
from lora_tui.draft import Draft, preset_values


def toml(folder: Path) -> str:
    return (folder / "project.toml").read_text(encoding="utf-8")


def test_an_edit_is_in_the_file_at_once_and_comments_stay(folder: Path) -> None:
    (folder / "project.toml").write_text(toml(folder) + "# mine\n", encoding="utf-8")
    draft = Draft(folder)
    assert draft.set("network_dim", "32") is None
    assert Project.open(folder).settings["network_dim"] == 32
    assert "# mine" in toml(folder)


def test_a_value_that_does_not_fit_is_kept_and_does_not_get_into_the_file(folder: Path) -> None:
    before = toml(folder)
    draft = Draft(folder)
    error = draft.set("train_batch_size", "two \x1b[31m")
    assert error is not None
    assert "train_batch_size must be a whole number" in error.message
    assert toml(folder) == before
    assert Draft(folder).typed == {"train_batch_size": "two \x1b[31m"}  # another start of the app
    assert draft.set("train_batch_size", "3") is None
    assert Draft(folder).typed == {}


def test_the_presets_own_value_is_not_written_down(folder: Path) -> None:
    draft = Draft(folder)
    draft.choose_preset("guide")
    draft.set("network_dim", "32")
    assert draft.changed("network_dim")
    draft.set("network_dim", "96")
    assert not draft.changed("network_dim")
    assert "network_dim" not in toml(folder)


def test_default_takes_back_a_value_and_what_was_typed(folder: Path) -> None:
    draft = Draft(folder)
    draft.choose_preset("guide")
    draft.set("noise_offset", "much")
    draft.set("learning_rate", "0.5")
    draft.reset("noise_offset")
    draft.reset("learning_rate")
    assert (draft.typed, draft.value("learning_rate")) == ({}, 1.0)


def test_a_preset_keeps_the_base_model_and_the_names(folder: Path) -> None:
    draft = Draft(folder)
    draft.set("output_name", "mine")
    draft.choose_preset("guide")
    assert draft.settings().pretrained_model_name_or_path == "micro"
    assert draft.settings().output_name == "mine"
    assert draft.settings().resolution == preset_values("guide")["resolution"]


def test_what_somebody_else_writes_meanwhile_stays(folder: Path) -> None:
    draft = Draft(folder)
    other = Project.open(folder)
    other.settings["seed"] = 99
    other.save()
    draft.set("network_dim", "8")
    both = Project.open(folder).settings
    assert (both["seed"], both["network_dim"], draft.value("seed")) == (99, 8, 99)


def test_a_file_that_somebody_breaks_loses_nothing(folder: Path) -> None:
    draft = Draft(folder)
    good = toml(folder)
    (folder / "project.toml").write_text(good + "\nnetwork_dim = = 3\n", encoding="utf-8")
    error = draft.set("max_train_epochs", "9")
    assert error is not None
    assert "is not valid TOML" in error.message
    assert draft.trouble is error
    assert "= = 3" in toml(folder)  # not written over
    assert draft.value("max_train_epochs") == 9  # shown, and waiting
    (folder / "project.toml").write_text(good, encoding="utf-8")
    assert draft.look()
    assert draft.trouble is None
    assert Project.open(folder).settings["max_train_epochs"] == 9


def test_edits_that_wait_for_a_broken_file_outlive_the_app(folder: Path) -> None:
    good = toml(folder)
    draft = Draft(folder)
    draft.edit(lambda project: project.left_out.append("img/25_ohwx man/1.png"))
    kept = toml(folder)
    (folder / "project.toml").write_text(kept + "\n= = 3\n", encoding="utf-8")
    draft.set("max_train_epochs", "9")
    draft.edit(lambda project: project.left_out.clear())
    draft.edit(lambda project: project.repeats.update({"25_ohwx man": 7}))
    draft.set("seed", "5")
    draft.undo()
    (folder / "project.toml").write_text(good + "# mended by hand\n", encoding="utf-8")
    again = Draft(folder)
    assert again.recovered == ["Epochs", "which pictures are left out", "the repeats", "Seed"]
    found = Project.open(folder)
    assert (found.settings["max_train_epochs"], found.repeats, found.left_out) == (9, {"25_ohwx man": 7}, [])
    assert found.settings.get("seed") != 5
    assert "# mended by hand" in toml(folder)
    assert Draft(folder).recovered == []  # once


@pytest.mark.parametrize("nonsense", ["[]", "{}", '{"edits": [["settings", "network_dim", "wide"], ["name"], 3]}'])
def test_nonsense_among_the_edits_that_wait_is_passed_over(folder: Path, nonsense: str) -> None:
    (folder / ".lora-tui").mkdir()
    (folder / ".lora-tui" / "waiting.json").write_text(nonsense, encoding="utf-8")
    before = toml(folder)
    assert Draft(folder).recovered == []
    assert toml(folder) == before


def test_edits_that_no_folder_takes_are_said_to_be_lost_on_leaving(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    draft = Draft(folder)
    (folder / "project.toml").write_text("= =", encoding="utf-8")
    draft.set("seed", "5")
    assert (draft.unkept, "is kept, and written" in draft.trouble_words) == (False, True)
    (folder / ".lora-tui").rename(tmp_path / "away")
    (folder / ".lora-tui").touch()  # no folder any more: the user's own state folder is used
    draft.set("seed", "6")
    assert (draft.unkept, "is kept, and written" in draft.trouble_words) == (False, True)
    shutil.rmtree(state_dir() / "projects")
    (state_dir() / "projects").touch()
    draft.set("seed", "7")
    assert draft.unkept
    assert "would be lost if you left now" in draft.trouble_words


def test_edits_can_be_taken_back_after_the_project_was_opened_again(folder: Path) -> None:
    draft = Draft(folder)
    draft.set("seed", "5")
    draft.set("seed", "6")
    draft.leave()
    again = Draft(folder)
    assert again.undo()[0] == "Seed"
    assert again.value("seed") == 5
    again.leave()
    last = Draft(folder)
    last.undo()
    assert not last.undoable
    assert Project.open(folder).settings.get("seed") not in (5, 6)


def test_a_disk_that_refuses_keeps_the_edit_for_later(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draft = Draft(folder)

    def refuse(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", refuse)
        error = draft.set("seed", "5")
    assert error is not None
    assert error.code == "disk-full"
    assert draft.look()
    assert Project.open(folder).settings["seed"] == 5


def test_nothing_new_costs_nothing(folder: Path) -> None:
    draft = Draft(folder)
    assert not draft.look()
    before = (folder / "project.toml").stat().st_mtime_ns
    draft.look()
    assert (folder / "project.toml").stat().st_mtime_ns == before


@pytest.mark.parametrize("nonsense", [b"", b"[]", b"{", b'{"seed": 3}', b'{"nonsense": "x"}', b"\xff" * 9])
def test_nonsense_beside_the_project_is_passed_over(folder: Path, nonsense: bytes) -> None:
    own = folder / ".lora-tui"
    own.mkdir()
    (own / "typed.json").write_bytes(nonsense)
    (own / "wizard.json").write_bytes(nonsense)
    draft = Draft(folder)
    assert draft.typed == {}
    assert isinstance(draft.beside.remembered("wizard"), dict)


def test_a_value_that_is_not_utf8_is_refused_and_keeps_nothing_waiting(folder: Path) -> None:
    before = toml(folder)
    draft = Draft(folder)
    error = draft.set_value("pretrained_model_name_or_path", "/models/\udcff.safetensors")
    assert error is not None
    assert error.code == "not-utf8"
    assert (draft.trouble, toml(folder)) == (None, before)
    assert draft.set("seed", "5") is None
    assert draft.value("pretrained_model_name_or_path") == "micro"


def test_what_stands_in_the_file_as_the_preset_has_it_is_not_called_changed(folder: Path) -> None:
    draft = Draft(folder)
    draft.choose_preset("guide")
    draft.project.settings |= {"noise_offset": 0.1, "max_train_epochs": 7}
    assert (draft.changed("noise_offset"), draft.changed("max_train_epochs"), draft.changed("seed")) == (
        False,
        True,
        False,
    )


def test_undo_leaves_alone_what_another_app_has_changed_since(folder: Path) -> None:
    one, other = Draft(folder), Draft(folder)
    one.set("seed", "5")
    one.set("network_dim", "8")
    other.set("seed", "9")
    assert one.undo() == ("Rank", None)
    assert one.undo() == ("nothing (Seed: changed elsewhere since, and stays so)", None)
    assert Project.open(folder).settings["seed"] == 9


def test_undo_goes_back_edit_by_edit(folder: Path) -> None:
    before = Project.open(folder).settings
    draft = Draft(folder)
    draft.set("seed", "5")
    draft.choose_preset("guide")
    what, trouble = draft.undo()
    assert (what.startswith("the preset, "), trouble) == (True, None)
    assert (Project.open(folder).preset, Project.open(folder).settings) == (None, before | {"seed": 5})
    draft.undo()
    draft.undo()  # nothing more
    assert Project.open(folder).settings == before
