"""The commands that need no engine, as people and programs use them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.runs.events import EventWriter
from engine.runs.folder import create
from engine.runs.job import Job
from engine.runs.lock import RunLock
from lora_tui.cli import COMMANDS

ESC = "\x1b"
ROOT = Path(__file__).parents[2]


def test_help_names_every_command(lora_tui):
    answer = lora_tui()
    assert answer.code == 0
    for command in COMMANDS:
        assert command in answer.out
        assert lora_tui(command, "--help").code == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["dance"],
        ["check"],
        ["check", "a", "b"],
        ["check", "a", "--set", "network_dim"],
        ["check", "a", "--set", "=3"],
        ["check", "a", "--colour"],
        ["train", "a", "--device", "toaster"],
        ["new", "a"],
        ["new", "a", "--trigger", "x", "--repeats", "many"],
        ["compare", "a", "--seed", "-1"],
        ["presets", "show"],
        [f"{ESC}[31mred"],
    ],
)
def test_wrong_usage_is_one_line_and_code_2(lora_tui, arguments):
    answer = lora_tui(*arguments)
    assert answer.code == 2
    assert answer.out == ""
    assert answer.err.startswith("error: ")
    assert answer.err.count("\n") == 1
    assert ESC not in answer.err
    assert lora_tui(*arguments, "--json").json["error"]["code"] == "usage"


def test_check_as_json(lora_tui, project: Path):
    answer = lora_tui("check", project, "--json")
    assert answer.code == 0
    assert answer.json["steps"] == {
        "num_train_images": 8,
        "num_reg_images": 8,
        "num_reg_on_disk": 4,
        "batches_per_epoch": 8,
        "steps_per_epoch": 8,
        "epochs": 2,
        "total": 16,
        "explanation": answer.json["steps"]["explanation"],
    }
    assert answer.json["buckets"] == [{"resolution": [96, 96], "count": 16, "cropped": 0.0}]
    first = answer.json["pictures"][0]
    assert first == {
        "path": str(project / "img" / "2_zibo man" / "0.png"),
        "kind": "train",
        "folder": "2_zibo man",
        "width": 96,
        "height": 96,
        "resized": [96, 96],
        "bucket": [96, 96],
        "repeats": 2,
        "caption": "zibo, a photo of a man",
        "caption_path": str(project / "img" / "2_zibo man" / "0.txt"),
        "left_out": False,
        "validation": False,
        "problems": [],
    }
    assert {picture["kind"] for picture in answer.json["pictures"]} == {"train", "reg"}
    assert all({"code", "message", "hint"} <= warning.keys() for warning in answer.json["warnings"])


def test_check_reports_on_the_pictures_and_recommends_repeats(lora_tui, project: Path):
    answer = lora_tui("check", project, "--json", "--steps", "32").json
    assert answer["report"]["looked_at_all"] is True
    assert answer["report"]["near_copies"] == []
    assert answer["recommended"]["wished_steps"] == 32
    assert answer["recommended"]["repeats"] == {"2_zibo man": 4}
    assert answer["recommended"]["steps"] == 32
    assert "16 ÷ 4 pictures = 4 repeats." in answer["recommended"]["explanation"]
    told = lora_tui("check", project, "--steps", "32").out
    assert "What is against them: 4 trained, all is well with them." in told
    assert "16 ÷ 4 pictures = 4 repeats." in told
    assert lora_tui("check", project, "--steps", "0").code == 2


def test_check_for_people(lora_tui, project: Path):
    answer = lora_tui("check", project)
    assert answer.code == 0
    assert "img/2_zibo man: 4 of 4 pictures used" in answer.out
    assert "= 16 steps" in answer.out
    split = lora_tui("check", project, "--set", "validation_split=0.25")
    assert "img/2_zibo man: 3 of 4 pictures used, 1 kept for validation" in split.out
    assert "1 more is kept for validation and not trained." in split.out
    assert "96 × 96: 16 in an epoch" in answer.out


def test_set_goes_over_the_project(lora_tui, project: Path):
    answer = lora_tui("check", project, "--set", "max_train_epochs=5", "--set", "train_batch_size=1", "--json")
    assert answer.json["steps"]["total"] == 80


def test_the_guides_numbers(lora_tui, tmp_path: Path):
    """30 pictures × 25 repeats, 752 regularisation pictures, batch 2, 4 epochs: 3,000 steps, all in one bucket."""
    folder = tmp_path / "guide"
    for parent, count in (("img/25_ohwx man", 30), ("reg/1_man", 752)):
        (folder / parent).mkdir(parents=True)
        for number in range(count):
            # The same bytes for all: only the size matters, and writing 782 pictures takes seconds.
            target = folder / parent / f"{number}.png"
            target.write_bytes(_png()) if number == 0 else os.link(folder / parent / "0.png", target)
    answer = lora_tui("check", folder, "--json", "--quick")  # 782 pictures without their pixels
    assert answer.json["report"] == {"looked_at_all": False, "remarks": [], "near_copies": []}
    steps = answer.json["steps"]
    assert (steps["num_train_images"], steps["num_reg_images"], steps["num_reg_on_disk"]) == (750, 750, 752)
    assert (steps["steps_per_epoch"], steps["epochs"], steps["total"]) == (750, 4, 3000)
    assert "3,000 steps" in steps["explanation"]


def _png() -> bytes:
    import io

    from PIL import Image

    data = io.BytesIO()
    Image.new("RGB", (1024, 1024)).save(data, "PNG", compress_level=9)
    return data.getvalue()


def test_new_makes_a_project_that_check_takes(lora_tui, project: Path, tmp_path: Path):
    images = project / "img" / "2_zibo man"
    arguments = ["--trigger", "ohwx", "--class", "man", "--repeats", "3", "--images", images, "--json"]
    made = lora_tui("new", tmp_path / "own" / "face", *arguments)
    assert made.code == 0
    assert made.json["project"] == str(tmp_path / "own" / "face")
    assert made.json["images"] == str(tmp_path / "own" / "face" / "img" / "3_ohwx man")
    assert lora_tui("check", made.json["project"], "--json").json["steps"]["num_train_images"] == 12
    again = lora_tui("new", tmp_path / "own" / "face", *arguments)
    assert (again.code, again.json["error"]["code"]) == (1, "exists")


def test_new_names_what_it_does_not_take(lora_tui, project: Path, tmp_path: Path):
    images = project / "img" / "2_zibo man"
    (images / "clip.mp4").write_bytes(b"a video")
    made = lora_tui("new", tmp_path / "face", "--trigger", "ohwx", "--class", "man", "--images", images)
    assert made.code == 0
    assert "warning: 1 video in 2_zibo man is not used: clip.mp4." in made.err
    assert not list((tmp_path / "face").rglob("*.mp4"))


def test_presets(lora_tui):
    listed = lora_tui("presets", "--json").json["presets"]
    assert listed == lora_tui("presets", "list", "--json").json["presets"]
    assert {"guide", "demo", "ai-now-prodigy"} <= {preset["name"] for preset in listed}
    assert all(preset["when"] for preset in listed)
    shown = lora_tui("presets", "show", "guide", "--json").json
    assert shown == next(preset for preset in listed if preset["name"] == "guide")
    assert "guide" in lora_tui("presets").out
    assert shown["title"] in lora_tui("presets", "show", "guide").out
    missing = lora_tui("presets", "show", "giude", "--json")
    assert (missing.code, missing.json["error"]["code"]) == (1, "unknown-preset")
    assert "guide" in missing.json["error"]["hint"]


def test_runs_of_a_project_without_any(lora_tui, project: Path):
    assert lora_tui("runs", project, "--json").json == {"runs": []}
    assert lora_tui("runs", project).out == "No runs yet.\n"


def test_runs(lora_tui, project: Path):
    run = create(project / "runs", Job("train", name="zibo"), 1795348800.0)
    with RunLock.acquire(run), EventWriter(run.events_path, clock=lambda: 99.5) as events:
        events.write("job", job="train", total_steps=16, total_epochs=2)
        events.write("step", step=1, epoch=1, loss=0.5, loss_avg=0.5)
        events.write("validation", step=1, loss=0.25)
        events.write("sample", step=1, path=run.samples_dir / "a.png")
    died, queued = lora_tui("runs", project, "--json").json["runs"][0], create(project / "runs", Job("train"))
    assert died["bytes"] > 0
    assert died == {
        "run": run.name,
        "path": str(run.path),
        "job": "train",
        "state": "died",
        "step": 1,
        "total_steps": 16,
        "epoch": 1,
        "total_epochs": 2,
        "loss_avg": 0.5,
        "validation_loss": 0.25,
        "started": 99.5,
        "last_event": 99.5,
        "bytes": died["bytes"],
        "last_sample": str(run.samples_dir / "a.png"),
        "checkpoints": [],
        "message": died["message"],
    }
    second = lora_tui("runs", project, "--json").json["runs"][1]
    assert (second["run"], second["state"], second["started"], second["last_sample"]) == (
        queued.name,
        "queued",
        None,
        None,
    )
    assert "died" in lora_tui("runs", project).out


def test_names_from_strangers_are_inert(lora_tui, project: Path):
    folder = project / "img" / "2_zibo man"
    name = f"{ESC}]0;owned\x07[red]x\u202e\n{ESC}[2J"
    (folder / f"{name}.png").write_bytes(b"no picture")
    (folder / f"{name}.txt").write_text(f"{ESC}[31mzibo[/red]")
    (folder / os.fsdecode(b"caf\xe9.png")).write_bytes(b"no picture")
    for arguments in (["check", project], ["check", project, "--json"], ["train", project, "--set", f"{ESC}[1m=2"]):
        answer = lora_tui(*arguments)
        for text in (answer.out, answer.err):
            assert not set(text) & {ESC, "\x07", "\u202e", "\x9b"}
            assert text.isascii() or not text.startswith("{")
    paths = [picture["path"] for picture in lora_tui("check", project, "--json").json["pictures"]]
    assert str(folder / f"{name}.png") in paths  # programs get the real name
    assert "[red]x" in lora_tui("check", project).err


def test_light_commands_load_nothing_heavy(project: Path):
    code = (
        "import sys, json\nfrom lora_tui.cli import main\n"
        "try: main(['check', sys.argv[1], '--json'])\nexcept SystemExit as left: assert left.code == 0, left.code\n"
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(project)], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr
    answer, modules = done.stdout.splitlines()
    assert json.loads(answer)["steps"]["total"] == 16
    heavy = {"torch", "numpy", "diffusers", "transformers", "peft", "accelerate", "safetensors", "rich", "textual"}
    assert heavy.isdisjoint(json.loads(modules))


def test_a_fault_of_ours_is_one_line_too(lora_tui, project: Path, monkeypatch: pytest.MonkeyPatch):
    def broken(*arguments: object, **options: object) -> None:
        raise ZeroDivisionError("oh\nno")

    monkeypatch.setattr("engine.plan.dataset.scan", broken)
    answer = lora_tui("check", project, "--json")
    assert (answer.code, answer.json["error"]["code"]) == (1, "internal")
    assert answer.err.count("\n") == 1
    assert "Traceback" not in answer.err


@pytest.mark.parametrize(
    "fault", [KeyboardInterrupt(), BrokenPipeError(), PermissionError(13, "Permission denied", "/x")]
)
def test_interrupts_and_pipes(lora_tui, project: Path, monkeypatch: pytest.MonkeyPatch, fault: BaseException):
    def broken(*arguments: object, **options: object) -> None:
        raise fault

    monkeypatch.setattr("engine.plan.dataset.scan", broken)
    monkeypatch.setattr(os, "dup2", lambda *a: None)
    monkeypatch.setattr(sys.stdout, "fileno", lambda: 1, raising=False)
    answer = lora_tui("check", project)
    assert answer.code == (130 if isinstance(fault, KeyboardInterrupt) else 1)
    assert "Traceback" not in answer.err


def test_a_terminal_that_is_not_utf8(project: Path):
    env = {**os.environ, "PYTHONIOENCODING": "iso8859-5", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", "from lora_tui.cli import main; main()", "check", str(project)]
    done = subprocess.run(command, capture_output=True, encoding="iso8859-5", env=env, check=False)
    assert done.returncode == 0, done.stderr
    assert "96 \\xd7 96" in done.stdout


def test_the_demo_project_is_made_once_and_nothing_is_overwritten(
    lora_tui, tmp_path: Path, tree: Callable[[Path], str], monkeypatch: pytest.MonkeyPatch
):
    shipped = tmp_path / "package"
    (shipped / "demo" / "project" / "held_out").mkdir(parents=True)
    (shipped / "demo" / "project" / "img" / "10_zibo man").mkdir(parents=True)
    (shipped / "demo" / "project" / "project.toml").write_text('[project]\nname = "zibo"\ntrigger = "zibo"\n')
    monkeypatch.setattr("engine.plan.demo.files", lambda package: shipped)
    made = lora_tui("demo", tmp_path / "demo", "--prepare-only", "--json")
    assert (made.code, made.json) == (0, {"project": str(tmp_path / "demo")})
    (tmp_path / "demo" / "project.toml").write_text('[project]\nname = "mine"\ntrigger = "zibo"\n')
    before = tree(tmp_path)
    assert lora_tui("demo", tmp_path / "demo", "--prepare-only").code == 0
    other = lora_tui("demo", shipped, "--prepare-only", "--json")
    assert (other.code, other.json["error"]["code"]) == (1, "exists")
    assert tree(tmp_path) == before


def test_presets_show_obeys_the_groups_json(lora_tui):
    assert lora_tui("presets", "--json", "show", "guide").json == lora_tui("presets", "show", "guide", "--json").json
    assert lora_tui("presets", "--json", "list").json == lora_tui("presets", "--json").json


def test_the_demo_keeps_the_folder_it_is_made_in(lora_tui, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    before = tmp_path.stat().st_ino
    assert lora_tui("demo", ".", "--prepare-only").code == 0
    assert tmp_path.stat().st_ino == before
    assert (tmp_path / "project.toml").is_file()
    assert not list(tmp_path.glob(".*"))


def test_check_says_what_is_wrong_with_the_words_of_captions(lora_tui, project: Path):
    pictures = project / "img" / "2_zibo man"
    (pictures / "0.txt").write_text("zibo, a man in a red coat, a man in a red coat")
    (pictures / "1.txt").write_text(f"zibo, {' '.join(f'word{number}' for number in range(60))}")
    answer = lora_tui("check", project, "--json")
    told = {warning["code"]: warning for warning in answer.json["warnings"]}
    assert told["caption-too-long"]["level"] == "warning"
    assert "0.txt" in told["caption-repeats"]["message"]
    assert "warning: 1 caption is longer than the 75 tokens" in lora_tui("check", project).err
