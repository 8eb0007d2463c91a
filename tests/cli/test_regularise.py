"""`lora-tui regularise`: the arithmetic, taking a folder over, and once the real engine from end to end."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from engine.plan.picture_parameters import read
from engine.runs import launch
from engine.runs.folder import list_runs


def test_the_plan_says_how_many_and_why(lora_tui, project):
    answer = lora_tui("regularise", project, "--plan", "--json", "--count", "all").json
    (one,) = answer["classes"]
    assert (one["target"], one["enough"], one["missing"], answer["missing"]) == (8, 8, 4, 4)
    assert (one["class"], one["there"], one["used"]) == ("man", 4, [2, 2])
    assert Path(one["folder"]) == project / "reg" / "1_man"
    assert answer["options"]["sampler"] == "euler_a"
    assert answer["seconds"] is None
    assert list_runs(project) == []
    said = lora_tui("regularise", project, "--plan")
    assert "time not known yet" in said.out
    assert "one for each of your own" in said.out


@pytest.mark.parametrize(
    ("given", "size"),
    [((), [96, 96]), (("--set", "resolution=64,64"), [64, 64]), (("--resolution", "512,512"), [512, 512])],
)
def test_the_practice_model_draws_at_its_own_size_unless_it_is_told_another(lora_tui, project, given, size):
    on_micro = ("--set", "pretrained_model_name_or_path=micro", "--set", "resolution=1024,1024")
    answer = lora_tui("regularise", project, "--plan", "--count", "all", *on_micro, *given, "--json")
    assert (answer.json["missing"], answer.json["size"]) == (4, size)


def test_a_training_caption_that_is_not_utf8_is_no_hindrance(lora_tui, project):
    (project / "img" / "2_zibo man" / "1.txt").write_bytes(b"zibo, caf\xe9")
    answer = lora_tui("regularise", project, "--plan", "--json", "--count", "all")
    assert answer.code == 0
    assert answer.json["classes"][0]["target"] == 8


def test_a_folder_is_taken_over(lora_tui, project, tmp_path):
    source = tmp_path / "men"
    source.mkdir()
    for number in range(3):
        Image.new("RGB", (64, 64), (number, 0, 0)).save(source / f"{number}.png")
    answer = lora_tui("regularise", project, "--from", source, "--json")
    assert answer.json["classes"][0]["there"] == 7
    assert "3 pictures taken over" in answer.err
    assert len(list((project / "reg" / "1_man").glob("*.png"))) == 7


def test_a_folder_is_taken_over_for_the_class_that_is_said(lora_tui, project, tmp_path):
    for place in (project / "img" / "2_rexo dog", tmp_path / "dogs"):
        place.mkdir()
        Image.new("RGB", (64, 64), (9, 0, 0)).save(place / "1.png")
    answer = lora_tui("regularise", project, "--from", tmp_path / "dogs", "--class", "cat", "--json")
    assert (answer.code, answer.json["error"]["code"]) == (1, "bad-name")
    assert "man and dog" in answer.json["error"]["hint"]
    answer = lora_tui("regularise", project, "--from", tmp_path / "dogs", "--class", "dog", "--json")
    assert {one["class"]: one["there"] for one in answer.json["classes"]} == {"dog": 1, "man": 4}
    assert (project / "reg" / "1_dog" / "1.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        (["--count", "many"], 1, "bad-value"),
        (["--steps", "0"], 1, "bad-value"),
        (["--from", "a", "--from-hub", "b/c"], 2, "usage"),
        (["--link"], 2, "usage"),
        (["--class", "man"], 2, "usage"),
        (["--from-hub", "b"], 1, "not-a-source"),
        (["--from", "/nowhere"], 1, "no-such-folder"),
        (["--set", "pretrained_model_name_or_path="], 1, "no-base-model"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(lora_tui, project, arguments, code, why):
    answer = lora_tui("regularise", project, *arguments, "--json")
    assert (answer.code, answer.json["error"]["code"]) == (code, why)
    assert "Traceback" not in answer.err


@pytest.mark.proof
def test_captions_are_written_by_a_captioner_once_the_pictures_are_there(lora_tui, project, monkeypatch):
    monkeypatch.setattr(launch, "ENGINE_COMMAND", (*launch.PYTHON_MODULE, "engine"))
    on_micro = ("--set", "pretrained_model_name_or_path=micro", "--set", "resolution=64,64")
    with (project / "project.toml").open("a", encoding="utf-8") as file:
        file.write('\n[captioning]\nmodel = "filename"\n')
    for path in (project / "reg" / "1_man").glob("*.png"):
        path.with_suffix(".txt").write_text("mine")
    options = ("--count", "5", "--steps", "1", "--captions", "automatic")
    answer = lora_tui("regularise", project, *options, *on_micro, "--json")
    assert (answer.code, answer.json.get("made")) == (0, 1), answer.out + answer.err
    captions = {path.stem: path.read_text() for path in (project / "reg" / "1_man").glob("*.txt")}
    assert captions.pop("man_00001").startswith("man")
    assert set(captions.values()) == {"mine"}


def test_a_captioner_that_is_not_here_is_told_before_anything_is_drawn(lora_tui, project):
    (project / "project.toml").write_text(
        (project / "project.toml").read_text() + '\n[captioning]\nmodel = "blip"\n', encoding="utf-8"
    )
    on_micro = ("--set", "pretrained_model_name_or_path=micro", "--captions", "automatic", "--count", "8")
    answer = lora_tui("regularise", project, *on_micro, "--json")
    assert (answer.code, answer.json["error"]["code"]) == (1, "not-downloaded")
    assert list_runs(project) == []


def test_pictures_are_made_and_found_again(lora_tui, project, monkeypatch):
    monkeypatch.setattr(launch, "ENGINE_COMMAND", (*launch.PYTHON_MODULE, "engine"))
    options = ("--count", "6", "--steps", "2", "--seed", "5", "--prompt", "a CLASS on a beach", "--captions", "prompt")
    on_micro = ("--set", "pretrained_model_name_or_path=micro", "--set", "resolution=64,64")
    answer = lora_tui("regularise", project, *options, *on_micro, "--json")
    assert (answer.code, answer.json["made"], answer.json["missing"]) == (0, 2, 0), answer.err
    assert "time not known yet" in answer.err
    made = sorted((project / "reg" / "1_man").glob("man_*.png"))
    assert [path.name for path in made] == ["man_00005.png", "man_00006.png"]
    assert read(made[0]).startswith("a man on a beach\n")
    assert "Seed: 5, Size: 64x64" in read(made[0])
    assert made[0].with_suffix(".txt").read_text() == "a man on a beach"
    more = lora_tui("regularise", project, "--plan", "--count", "8", *options[2:], *on_micro, "--json").json
    assert (more["missing"], more["seconds"] > 0) == (2, True)  # as long as they took a moment ago
