"""`presets import` and `presets export`, as a person and as a program meet them."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from engine.plan.kohya.arguments import UNSAID
from tests.plan.kohya.asked import AI_NOW


def settings_of(project: Path) -> dict[str, object]:
    return tomllib.loads((project / "project.toml").read_text())["settings"]


def test_without_a_place_nothing_is_changed(lora_tui, project, tree):
    before = tree(project)
    answer = lora_tui("presets", "import", AI_NOW)
    assert answer.code == 0
    assert "network_dim = 32" in answer.out
    assert "Nothing was changed" in answer.out
    assert "1,600" in answer.err
    assert tree(project) == before


def test_json_accounts_for_every_key(lora_tui):
    found = lora_tui("presets", "import", AI_NOW, "--json").json
    keys = {line["key"] for line in found["carried"]} | {line["key"] for line in found["left_out"]}
    assert set(json.loads(AI_NOW.read_text())) <= keys
    assert found["settings"]["max_train_epochs"] == 160
    assert found["project"] is None
    assert Path(found["file"]).is_absolute()
    assert {line["why"] for line in found["left_out"]} <= {"inert", "unset", "always", "program", "project"}


def test_every_key_that_is_left_out_has_its_reason_in_the_text(lora_tui, tmp_path):
    table = json.loads(AI_NOW.read_text()) | {"LoRA_type": "LyCORIS/LoHa", "flux1_checkbox": True}
    (tmp_path / "k.json").write_text(json.dumps(table))
    told = lora_tui("presets", "import", tmp_path / "k.json").out.splitlines()
    left = lora_tui("presets", "import", tmp_path / "k.json", "--json").json["left_out"]
    assert len({line["why"] for line in left}) > 5
    for line in left:
        assert any(line["key"] in text and line["reason"] in text for text in told), line


@pytest.mark.parametrize("apply", [False, True])
def test_what_the_file_does_not_say_is_marked(lora_tui, project, tmp_path, apply):
    (tmp_path / "c.toml").write_text("network_dim = 7\nmax_train_epochs = 3\nlearning_rate = 0.5\n")
    told = lora_tui("presets", "import", tmp_path / "c.toml", *(["--apply", project] if apply else [])).out.splitlines()
    begins = next(place for place, row in enumerate(told) if UNSAID in row)
    marked = [row for row in told[begins:] if UNSAID in row or row.startswith("    ")]
    assert any("max_bucket_reso" in row for row in marked)
    assert not any("network_dim" in row or "learning_rate" in row for row in marked)
    assert told[0].startswith("It is a configuration of sd-scripts: 3 keys are carried over, 0 are not")


def test_one_key_is_no_keys(lora_tui, tmp_path):
    (tmp_path / "p.txt").write_text("ohwx, a man\n")
    assert "1 key is carried over" in lora_tui("presets", "import", tmp_path / "p.txt").out


def test_a_project_gets_the_settings_and_keeps_what_is_its_own(lora_tui, project):
    mine = settings_of(project)["pretrained_model_name_or_path"]
    answer = lora_tui("presets", "import", AI_NOW, "--apply", project)
    assert answer.code == 0
    assert "Rank (network_dim): 4 → 32" in answer.out or "→ 32" in answer.out
    text = (project / "project.toml").read_text()
    assert text.startswith("# mine\n")
    after = settings_of(project)
    assert after["pretrained_model_name_or_path"] == mine
    assert after["network_dim"] == 32
    assert after["max_train_epochs"] == 160
    assert not {"output_name", "training_comment", "vae"} & set(after)
    again = lora_tui("presets", "import", AI_NOW, "--apply", project, "--json").json
    assert again["changes"] == []
    assert again["project"] == str(project)


def test_steps_become_epochs_of_this_project(lora_tui, project, tmp_path):
    table = json.loads(AI_NOW.read_text()) | {"max_train_steps": 40, "train_batch_size": 2, "max_resolution": "64,64"}
    (tmp_path / "k.json").write_text(json.dumps(table))
    found = lora_tui("presets", "import", tmp_path / "k.json", "--apply", project, "--json").json
    # 4 pictures × 2 and as many of regularisation in batches of 2: 8 steps an epoch.
    assert found["settings"]["max_train_epochs"] == 5
    assert settings_of(project)["max_train_epochs"] == 5


def test_a_preset_of_ones_own(lora_tui, project, tmp_path):
    table = json.loads(AI_NOW.read_text()) | {"sample_prompts": "queen, a photo --w 1024 --h 1024"}
    (tmp_path / "k.json").write_text(json.dumps(table))
    found = lora_tui("presets", "import", tmp_path / "k.json", "--to", "queen", "--json").json
    assert Path(found["preset"]).is_file()
    assert [line["why"] for line in found["left_out"] if line["key"] == "sample_prompts"] == ["project"]
    shown = lora_tui("presets", "show", "queen", "--json").json
    assert shown["settings"]["network_dim"] == 32
    assert "sample_prompts" not in shown["settings"]
    assert "Imported from k.json" in shown["when"]


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("a.json", "{", "not-json"),
        ("b.json", '{"a": 1}', "not-kohya"),
        ("c.toml", "x =", "not-toml"),
        ("d.safetensors", "", "truncated"),
    ],
)
def test_bad_files_are_one_line(lora_tui, tmp_path, name, text, code):
    (tmp_path / name).write_text(text)
    answer = lora_tui("presets", "import", tmp_path / name, "--json")
    assert answer.code == 1
    assert answer.json["error"]["code"] == code
    assert answer.err.count("\n") == 1


def test_names_of_presets_are_no_paths(lora_tui, tmp_path):
    answer = lora_tui("presets", "import", AI_NOW, "--to", "../../x", "--json")
    assert answer.json["error"]["code"] == "bad-name"
    assert not (tmp_path.parent / "x.toml").exists()


def test_both_places_at_once_are_refused(lora_tui, project):
    assert lora_tui("presets", "import", AI_NOW, "--to", "x", "--apply", project).code == 2


def test_a_project_is_written_for_sd_scripts_and_read_back(lora_tui, project, tmp_path):
    out = tmp_path / "out"
    answer = lora_tui("presets", "export", project, "--to", out, "--json")
    assert answer.code == 0
    assert [Path(file).name for file in answer.json["files"]] == ["zibo.toml", "zibo-dataset.toml", "zibo-prompts.txt"]
    dataset = tomllib.loads((out / "zibo-dataset.toml").read_text())
    folders = dataset["datasets"][0]["subsets"]
    assert [(Path(one["image_dir"]).name, one["num_repeats"], one.get("is_reg", False)) for one in folders] == [
        ("2_zibo man", 2, False),
        ("1_man", 1, True),
    ]
    assert (out / "zibo-prompts.txt").read_text().startswith("zibo, a photo of a man --w ")
    model = tomllib.loads((out / "zibo.toml").read_text())["model"]
    assert (model["output_dir"], model["output_name"]) == (str(project / "model"), "zibo")
    back = lora_tui("presets", "import", out / "zibo.toml", "--apply", project, "--json").json
    options = {change["option"] for change in back["changes"]}
    assert options <= {"sample_prompts", "cache_text_encoder_outputs"}
    assert lora_tui("presets", "export", project, "--to", out).code == 1  # nothing is replaced


def test_a_preset_is_written_for_sd_scripts(lora_tui, tmp_path):
    answer = lora_tui("presets", "export", "guide", "--to", tmp_path / "o", "--name", "mine")
    assert answer.code == 0
    assert (tmp_path / "o" / "mine.toml").is_file()
    assert "cache_text_encoder_outputs" in answer.err
    assert "warning: What the base model predicts is not known here" in answer.err
    assert lora_tui("presets", "export", "giude", "--to", tmp_path / "o").code == 1
    assert lora_tui("presets", "export", "guide", "--to", tmp_path / "o", "--name", "../x").code == 1


def test_a_v_prediction_model_is_exported_as_one(lora_tui, project, tmp_path, monkeypatch):
    from dataclasses import replace

    from engine.plan import base_model

    plain = base_model.recognise(str(settings_of(project)["pretrained_model_name_or_path"]), project)
    marked = replace(plain, prediction_type="v_prediction", zero_terminal_snr=True)
    monkeypatch.setattr(base_model, "recognise", lambda *_: marked)
    answer = lora_tui("presets", "export", project, "--to", tmp_path / "out")
    assert "predicts" not in answer.err
    text = (tmp_path / "out" / "zibo.toml").read_text()
    assert "v_parameterization = true" in text
    assert "zero_terminal_snr = true" in text
