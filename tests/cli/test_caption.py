"""`lora-tui caption`: real engines on a small project, its answers, and what it refuses."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from engine.plan.errors import UserError
from engine.plan.project import Project
from engine.plan.wanted_captions import Counts
from engine.runs import launch
from engine.runs.captions import read_done
from engine.runs.events import EventWriter
from engine.runs.folder import create, list_runs
from engine.runs.lock import RunLock
from lora_tui.captioning import Outlook, begin, download_for, example, job_for, options_of, outlook, unfinished
from tests.training import picture

WAYS = ("keep", "append", "replace")
KILLED = """
import os
import engine.caption.job as job
real, seen = job.load, []

class Dies:
    def __init__(self, inner): self.inner = inner
    def caption(self, pictures):
        seen.extend(pictures)
        if len(seen) > 2: os._exit(9)
        return self.inner.caption(pictures)

job.load = lambda *given: Dies(real(*given))
from engine.__main__ import main
raise SystemExit(main())
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four pictures without captions, on the practice model."""
    for number in range(4):
        picture(tmp_path / "face" / "img" / "5_ohwx man" / f"red_hat_{number}.png", number)
    project = Project.open(tmp_path / "face")
    project.settings["pretrained_model_name_or_path"] = "micro"
    project.save()
    return project.path


def test_the_built_in_captioner_writes_in_a_real_engine(lora_tui, folder):
    answer = lora_tui("caption", folder, "--prefix", "TRIGGER, a photo", "--num-beams", "2", "--json")
    assert (answer.code, answer.json["written"], answer.json["kept"], answer.json["model"]) == (0, 4, 0, "micro")
    assert [Path(one["path"]).name for one in answer.json["captions"]] == [f"red_hat_{n}.png" for n in range(4)]
    for one in answer.json["captions"]:
        text = Path(one["path"]).with_suffix(".txt").read_text()
        assert text == one["caption"] + "\n"
        assert text.startswith("ohwx, a photo, ")
        assert len(text.split()) > 15


def test_one_that_was_killed_goes_on_where_it_was(lora_tui, folder, monkeypatch):
    usual = launch.ENGINE_COMMAND
    monkeypatch.setattr(launch, "ENGINE_COMMAND", (sys.executable, "-c", KILLED))
    given = ("caption", folder, "--model", "filename", "--existing", "replace", "--batch-size", "1", "--json")
    assert lora_tui(*given).json["error"]["code"] == "engine-died"
    (run,) = list_runs(folder)
    assert [done.state for done in read_done(run)] == ["said", "said"]
    assert not list(folder.glob("img/*/*.txt"))
    monkeypatch.setattr(launch, "ENGINE_COMMAND", usual)
    answer = lora_tui(*given)
    assert (answer.json["written"], answer.json["run"]) == (4, str(run.path))
    assert {path.read_text() for path in folder.glob("img/*/*.txt")} == {"ohwx, red hat\n"}
    assert len(list_runs(folder)) == 1


def test_what_a_project_says_is_used_and_the_command_goes_before_it(lora_tui, folder):
    project = Project.open(folder)
    project.captioning = {"model": "class", "suffix": "indoors"}
    project.save()
    # What looks at no picture needs no card.
    next(folder.glob("img/*/red_hat_3.png")).with_suffix(".txt").write_text("ohwx, man, outdoors\n")
    answer = lora_tui("caption", folder, "--set", "suffix=outdoors", "--device", "cuda:7")
    assert (answer.code, len(answer.out.splitlines())) == (0, 3)
    assert answer.out.startswith("img/5_ohwx man/red_hat_0.png: ohwx, man, outdoors\n")
    assert "3 captions written with trigger word and class, 1 kept" in answer.err
    assert {path.read_text() for path in folder.glob("img/*/*.txt")} == {"ohwx, man, outdoors\n"}


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (("--model", "blop"), "bad-value"),
        (("--existing", "burn"), "bad-value"),
        (("--num-beams", "0"), "bad-value"),
        (("--min-length", "many"), "bad-value"),
        (("--set", "num_beems=3"), "unknown-option"),
        (("--model", "/no/such"), "no-such-captioner"),
        (("--model", "some/captioner"), "not-downloaded"),
    ],
)
def test_what_cannot_be_is_a_sentence_and_leaves_no_run(lora_tui, folder, monkeypatch, tmp_path, given, code):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    answer = lora_tui("caption", folder, *given, "--json")
    assert (answer.code, answer.json["error"]["code"]) == (1, code)
    assert not list_runs(folder)


@pytest.mark.parametrize(
    ("left", "which", "code"),
    [
        ("nothing", "train", "no-picture-folder"),
        ("folder", "train", "no-pictures"),
        ("broken", "train", "no-usable-picture"),
        ("whole", "reg", "no-picture-folder"),
    ],
)
def test_without_pictures_no_captioner_is_asked_for(lora_tui, folder, monkeypatch, tmp_path, left, which, code):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    for path in folder.glob("img/*/*.png"):
        if left == "broken":
            path.write_bytes(b"no picture")
        elif left != "whole":
            path.unlink()
    if left == "nothing":
        next(folder.glob("img/*")).rmdir()
    answer = lora_tui("caption", folder, "--model", "blip", "--folders", which, "--json")
    assert (answer.code, answer.json["error"]["code"]) == (1, code)


def test_no_base_model_is_needed_and_what_auto_means_is_frozen(folder):
    project = Project.open(folder)
    project.settings = {}
    settings = project.resolved()
    job = job_for(project, settings, options_of(project, {"model": "micro"}))
    assert job.arguments["options"] == {"model": "micro"}
    with pytest.raises(UserError) as error:
        job_for(project, settings, options_of(project))
    assert error.value.code == "not-downloaded"  # blip
    project.settings["pretrained_model_name_or_path"] = "micro"
    assert job_for(project, project.resolved(), options_of(project)).arguments["options"]["model"] == "micro"


def test_the_outlook_counts_what_will_be_written(folder):
    project = Project.open(folder)
    next(folder.glob("img/*/red_hat_1.png")).with_suffix(".txt").write_text("by hand")
    keep = outlook(project, options_of(project), ".txt")
    assert (keep.missing, keep.there, keep.to_write) == (3, 1, 3)
    assert "3 captions will be written" in keep.sentence
    replace = outlook(project, options_of(project, {"existing": "replace"}), ".txt")
    assert replace.to_write == 4
    assert "1 replaced" in replace.sentence
    assert (
        Outlook(Counts(missing=0, there=1), replace.options).sentence
        == "1 picture, 0 without a caption: 1 caption will be replaced."
    )


def test_a_tagger_is_not_downloaded_where_it_could_not_run(folder, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("engine.plan.captioners.is_installed", lambda package: False)
    with pytest.raises(UserError) as error:
        download_for(options_of(Project.open(folder), {"model": "wd14"}), "", folder)
    assert error.value.code == "needs-onnx"


def test_pictures_and_captions_that_cannot_be_read_are_not_counted_and_said(folder):
    project = Project.open(folder)
    pictures = sorted(folder.glob("img/*/*.png"))
    pictures[0].write_bytes(b"no picture")
    pictures[1].with_suffix(".txt").write_bytes(b"caf\xe9")
    found = outlook(project, options_of(project), ".txt")
    assert (found.missing, found.there, found.to_write) == (2, 0, 2)
    assert "2 captions will be written" in found.sentence
    assert "1 picture cannot be read and gets none" in found.sentence
    assert "1 caption is not UTF-8 and stays" in found.sentence
    pictures[0].with_suffix(".txt").write_text("by hand")
    assert "cannot be read" not in outlook(project, options_of(project), ".txt").sentence  # it is kept as it is
    replaced = outlook(project, options_of(project, {"existing": "replace"}), ".txt")
    assert (replaced.to_write, replaced.there) == (2, 0)
    assert "1 picture cannot be read" in replaced.sentence


@pytest.mark.parametrize(
    ("existing", "told", "files"),
    [
        (
            "keep",
            "1 caption begins with a blank line and counts as none; the lines below it go.",
            ["a\nb", "ohwx, x"],
        ),
        ("append", "2 captions have several lines; only the first stays.", ["ohwx, a, x", "ohwx, x"]),
        ("replace", "2 captions have several lines; all of them go.", ["ohwx, x", "ohwx, x"]),
    ],
)
def test_what_becomes_of_captions_with_several_lines_is_told_before(lora_tui, folder, existing, told, files):
    names = sorted(folder.glob("img/*/*.png"))
    for number, text in enumerate(["a\nb", "\nb\n", "one line\n\n", ""]):
        names[number].with_suffix(".txt").write_text(text)
    project = Project.open(folder)
    assert outlook(project, options_of(project, {"existing": existing}), ".txt").sentence.endswith(told)
    answer = lora_tui("caption", folder, "--model", "filename", "--existing", existing)
    assert (answer.code, told in answer.err) == (0, True)
    written = [path.with_suffix(".txt").read_text().strip().replace("red hat", "x") for path in names]
    assert written[:2] == files


def test_of_one_caption_with_several_lines_one_is_told(folder):
    next(folder.glob("img/*/red_hat_1.png")).with_suffix(".txt").write_text("a\n\nb")
    project = Project.open(folder)
    said = {how: outlook(project, options_of(project, {"existing": how}), ".txt").sentence for how in WAYS}
    assert "line" not in said["keep"]
    assert said["append"].endswith("1 caption has several lines; only the first stays.")
    assert said["replace"].endswith("1 caption has several lines; all of them go.")


def test_the_command_says_what_will_be_written_before_it_begins(lora_tui, folder):
    sorted(folder.glob("img/*/*.png"))[0].write_bytes(b"no picture")
    answer = lora_tui("caption", folder, "--model", "filename", "--json")
    assert "3 captions will be written. 1 picture cannot be read and gets none." in answer.err
    assert (answer.json["written"], answer.json["skipped"]) == (3, 1)


@pytest.mark.parametrize(("model", "said"), [("micro", True), ("wd14", False), ("filename", False)])
def test_lengths_that_cross_are_told_where_they_count(folder, model, said):
    project = Project.open(folder)
    options = options_of(project, {"model": model, "min_length": 30, "max_length": 20})
    warning = outlook(project, options, ".txt").warning
    assert ("(min_length 30) is above the longest (max_length 20): 20 tokens" in warning) == said


def test_the_command_says_that_lengths_cross(lora_tui, folder):
    answer = lora_tui("caption", folder, "--num-beams", "1", "--min-length", "9", "--max-length", "8", "--json")
    assert "warning: The shortest caption (min_length 9) is above the longest (max_length 8)" in answer.err


def test_the_example_is_what_the_job_would_write(folder):
    project = Project.open(folder)
    assert example(options_of(project), "ohwx", "man").startswith("ohwx, a man on a beach")
    assert example(options_of(project, {"model": "class", "suffix": "x"}), "ohwx", "man") == "ohwx, man, x"
    assert example(options_of(project, {"folders": "reg"}), "ohwx", "man").startswith("a man")
    assert example(options_of(project, {"existing": "append"}), "ohwx", "man").startswith(
        "ohwx, what stands there, a man"
    )


def test_two_at_once_are_refused_and_only_the_same_work_goes_on(folder):
    project = Project.open(folder)
    options = options_of(project, {"model": "filename"})
    job = job_for(project, project.resolved(), options)
    run = create(project.runs_dir, job)
    with RunLock.acquire(run), pytest.raises(UserError) as error:
        begin(project, project.resolved(), options)
    assert error.value.code == "run-busy"
    with EventWriter(run.events_path) as events:
        events.write("end", status="stopped", message="", output=None)
    assert unfinished(folder, job) == run
    assert unfinished(folder, job_for(project, project.resolved(), options_of(project, {"model": "class"}))) is None
    with EventWriter(run.events_path) as events:
        events.write("end", status="finished", message="", output=None)
    assert unfinished(folder, job) is None
