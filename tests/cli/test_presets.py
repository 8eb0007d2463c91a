"""`lora-tui presets`: listed, shown, compared with a project, taken, saved and removed."""

from __future__ import annotations

import pytest

from engine.plan.project import Project
from engine.runs.places import presets_dir
from lora_tui import checkup
from lora_tui.checkup import Check


def test_show_with_a_project_says_what_would_change_and_changes_nothing(lora_tui, project, tree):
    before = tree(project)
    shown = lora_tui("presets", "show", "low-memory-8gb", project, "--json").json
    rank = next(change for change in shown["changes"] if change["option"] == "base_weights")
    assert rank == {
        "option": "base_weights", "title": "Weights of the base model", "before": "full", "after": "fp8"
    }  # fmt: skip
    assert shown["project"] == str(project)
    said = lora_tui("presets", "show", "low-memory-8gb", project)
    assert "Weights of the base model (base_weights): full → fp8" in said.out
    assert f"changes {len(shown['changes'])} settings" in said.out
    assert tree(project) == before


def test_use_starts_the_settings_from_a_preset_and_keeps_the_base_model(lora_tui, project, base_model):
    text = (project / "project.toml").read_text()
    assert lora_tui("presets", "use", "character", project).code == 0
    after = Project.open(project)
    assert (after.preset, after.settings) == ("character", {"pretrained_model_name_or_path": str(base_model)})
    assert (project / "project.toml").read_text().startswith("# mine\n")
    assert lora_tui("presets", "show", "character", project, "--json").json["changes"] == []
    (project / "project.toml").write_text(text)
    lora_tui("presets", "save", "mine", project)
    used = lora_tui("presets", "use", "mine", project, "--json").json
    assert (used["name"], used["changes"]) == ("mine", [])
    assert Project.open(project).preset == "guide"


def test_own_presets_are_saved_listed_shown_and_removed(lora_tui, project):
    saved = lora_tui(
        "presets", "save", "my faces", project, "--set", "network_dim=24", "--when", "For faces.", "--json"
    )
    assert saved.json["path"] == str(presets_dir() / "my faces.toml")
    listed = lora_tui("presets", "--json").json
    mine = listed["presets"][-1]
    assert (mine["name"], mine["when"], mine["own"], mine["settings"]["network_dim"]) == (
        "my faces", "For faces.", True, 24
    )  # fmt: skip
    assert "my faces (your own)" in lora_tui("presets").out
    again = lora_tui("presets", "save", "my faces", project)
    assert (again.code, "--force" in again.err) == (1, True)
    assert lora_tui("presets", "save", "my faces", project, "--force").code == 0
    assert lora_tui("presets", "show", "my faces", "--json").json["settings"]["network_dim"] == 16
    unasked = lora_tui("presets", "remove", "my faces")
    assert (unasked.code, "--yes" in unasked.err) == (1, True)
    assert lora_tui("presets", "remove", "my faces", "--yes").code == 0
    assert lora_tui("presets", "show", "my faces", "--json").json["error"]["code"] == "unknown-preset"


@pytest.mark.parametrize(
    ("name", "code"),
    [("../x", "bad-name"), ("guide", "built-in-preset"), ("a/b", "bad-name"), ("x\x1b[2J", "bad-name")],
)
def test_bad_names_are_refused_in_one_line(lora_tui, project, name, code):
    said = lora_tui("presets", "save", name, project, "--json")
    assert (said.code, said.json["error"]["code"]) == (1, code)
    assert said.err.count("\n") == 1
    assert "\x1b[2J" not in said.err
    assert not presets_dir().exists()


def test_a_broken_file_is_one_sentence_in_the_list(lora_tui, project):
    presets_dir().mkdir(parents=True)
    (presets_dir() / "odd\x1b.toml").write_text("x = [")
    listed = lora_tui("presets", "--json").json
    assert (listed["broken"][0]["code"], listed["presets"][-1]["name"]) == ("bad-preset", "demo")
    said = lora_tui("presets")
    assert said.code == 0
    assert "odd\\x1b cannot be used: " in said.out.splitlines()[-1]
    assert lora_tui("presets", "show", "odd\x1b").code == 1
    (presets_dir() / "bad.toml").write_text("x = [")
    assert lora_tui("presets", "remove", "bad", "--yes").code == 0


def test_doctor_names_the_folder_of_ones_own_and_what_cannot_be_used():
    assert checkup._own_presets() == [Check("own presets", "ok", f"{presets_dir()}, 0 presets")]
    presets_dir().mkdir(parents=True)
    (presets_dir() / "odd.toml").write_text("x = [")
    (check,) = checkup._own_presets()
    assert (check.status, check.advice) == ("warning", "Cannot be used: odd.")
