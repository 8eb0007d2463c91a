"""Regularisation pictures: drawn as asked, found again by what stands in them, and never over somebody else's."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from engine.generate import regularise
from engine.generate.prompts import reading_for
from engine.generate.sampler import Sampler
from engine.models.tokenizer import clip_tokenizer
from engine.plan.picture_parameters import parameters, read, seed_of
from engine.plan.pictures import picture_files
from engine.plan.regularising import GUIDES_NEGATIVE, RegularisingOptions
from engine.plan.sample_prompts import SamplePrompt
from engine.runs import control
from engine.runs import folder as folders
from engine.runs.events import read_all
from engine.runs.folder import RunFolder
from engine.runs.job import Job
from tests.training import own_process, picture, settings

QUICK: dict[str, object] = {"steps": 2, "guidance": 3.0, "batch_size": 2, "negative_prompt": "((bad)), (blue:1.2)"}


def job_of(base: Path, project: Path, wanted: int, elsewhere: int = 0, **options: object) -> Job:
    classes = [{"class": "man", "folder": str(project / "reg" / "1_man"), "wanted": wanted, "elsewhere": elsewhere}]
    return Job(
        "regularise",
        project,
        class_name="man",
        settings=settings(pretrained_model_name_or_path=str(base)),
        arguments={"options": {**QUICK, **options}, "classes": classes},
    )


def work_on(job: Job) -> tuple[int, dict[str, Any], RunFolder]:
    from engine.__main__ import work

    assert job.project is not None
    job.project.mkdir(exist_ok=True)
    run = folders.create(job.project / "runs", job)
    with own_process():
        code = work(run)
    last = list(read_all(run.events_path))[-1]
    return code, json.loads(run.result_path.read_text()) if run.result_path.is_file() else last, run


def made(base: Path, project: Path, wanted: int, **options: object) -> dict[str, bytes]:
    code, result, _ = work_on(job_of(base, project, wanted, **options))
    assert code == 0, result
    return {path.name: path.read_bytes() for path in picture_files(project / "reg" / "1_man")[0]}


def test_pictures_are_drawn_as_asked_and_say_so(micro_folder: Path, tmp_path: Path) -> None:
    project = tmp_path / "zibo"
    code, result, run = work_on(job_of(micro_folder, project, 3, seed=7))
    assert (code, result["made"], result["complete"]) == (0, 3, True)
    assert result["seconds_each"] > 0
    folder = project / "reg" / "1_man"
    assert [path.name for path in picture_files(folder)[0]] == ["man_00007.png", "man_00008.png", "man_00009.png"]
    assert {path.read_text() for path in folder.glob("*.txt")} == {"man"}
    first = folder / "man_00007.png"
    assert Image.open(first).size == (64, 64)
    assert read(first) == (
        "A man, 4k, ultra detailed, masterpiece\n"
        "Negative prompt: ((bad)), (blue:1.2)\n"
        "Steps: 2, Sampler: Euler a, CFG scale: 3.0, Seed: 7, Size: 64x64, Model: micro, Version: lora-tui"
    )
    assert str(tmp_path).encode() not in first.read_bytes()
    samples = [event for event in read_all(run.events_path) if event["kind"] == "sample"]
    assert [Path(event["path"]).name for event in samples] == [path.name for path in picture_files(folder)[0]]


def test_what_is_there_is_skipped_and_a_longer_series_begins_with_the_shorter_one(
    micro_folder: Path, tmp_path: Path
) -> None:
    project, other = tmp_path / "zibo", tmp_path / "other"
    few = made(micro_folder, project, 2)
    before = {path.name: path.stat().st_mtime_ns for path in (project / "reg" / "1_man").iterdir()}
    more = made(micro_folder, project, 5)
    assert few.items() <= more.items()
    assert len(more) == 5
    after = {path.name: path.stat().st_mtime_ns for path in (project / "reg" / "1_man").iterdir()}
    assert before.items() <= after.items()
    assert made(micro_folder, other, 5, batch_size=1).keys() == more.keys()
    code, result, _ = work_on(job_of(micro_folder, project, 5))
    assert (code, result["made"], result["message"]) == (0, 0, "All are there already.")


def test_other_words_are_other_pictures(micro_folder: Path, tmp_path: Path) -> None:
    few = made(micro_folder, tmp_path / "zibo", 2)
    both = made(micro_folder, tmp_path / "zibo", 4, prompt="a photo of a CLASS", captions="prompt")
    assert few.items() <= both.items()
    assert sorted(both) == ["man_00001-2.png", "man_00001.png", "man_00002-2.png", "man_00002.png"]
    assert len(set(both.values())) == 4
    assert (tmp_path / "zibo" / "reg" / "1_man" / "man_00001-2.txt").read_text() == "a photo of a man"


def test_pictures_of_other_people_count_and_are_never_touched(micro_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "zibo" / "reg" / "1_man"
    picture(folder / "man_00001.png", 1)
    picture(folder / "from a friend.jpg", 2)
    (folder / "man_00002.txt").write_text("somebody's words")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    there = made(micro_folder, tmp_path / "zibo", 4)
    assert sorted(there) == ["from a friend.jpg", "man_00001-2.png", "man_00001.png", "man_00002-2.png"]
    assert {name: (folder / name).read_bytes() for name in before} == before


def test_pictures_that_are_left_out_or_thrown_away_are_made_up_for_by_other_seeds(
    micro_folder: Path, tmp_path: Path
) -> None:
    project = tmp_path / "zibo"
    made(micro_folder, project, 3)
    folder, trash = project / "reg" / "1_man", project / ".lora-tui" / "trash" / "2026" / "1_man"
    trash.mkdir(parents=True)
    (folder / "man_00001.png").rename(trash / "man_00001.png")
    job = job_of(micro_folder, project, 3)
    job = Job(**{**vars(job), "left_out": ("reg/1_man/man_00002.png",)})
    code, result, _ = work_on(job)
    assert (code, result["made"]) == (0, 2)
    assert [seed_of(read(path)) for path in picture_files(folder)[0]] == [2, 3, 4, 5]


def test_each_class_has_its_own_folder_and_words(micro_folder: Path, tmp_path: Path) -> None:
    job = job_of(micro_folder, tmp_path / "zibo", 1)
    dogs = {"class": "dog", "folder": str(tmp_path / "zibo" / "reg" / "1_dog"), "wanted": 4, "elsewhere": 2}
    job = Job(**{**vars(job), "arguments": {**job.arguments, "classes": [*job.arguments["classes"], dogs]}})
    code, result, _ = work_on(job)
    assert (code, [each["made"] for each in result["classes"]]) == (0, [1, 2])
    dog = tmp_path / "zibo" / "reg" / "1_dog" / "dog_00001.png"
    assert read(dog).startswith("A dog, 4k")
    assert dog.with_suffix(".txt").read_text() == "dog"


def test_a_kill_loses_only_the_pictures_under_way(micro_folder: Path, tmp_path: Path) -> None:
    """Whatever the moment, no half-written picture is taken for one, and the same pictures come in the end."""
    whole = made(micro_folder, tmp_path / "whole", 6, batch_size=1)
    project = tmp_path / "zibo"
    project.mkdir()
    job = job_of(micro_folder, project, 6, batch_size=1)
    for _ in range(1):
        run = folders.create(project / "runs", job)
        engine = subprocess.Popen(
            [sys.executable, "-m", "engine", str(run.path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        folder = project / "reg" / "1_man"
        before = len(list(folder.glob("*.png")))
        until(lambda: engine.poll() is not None or len(list(folder.glob("*.png"))) > before)  # noqa: B023
        os.kill(engine.pid, signal.SIGKILL)
        engine.wait()
        for path in folder.glob("*.png"):
            Image.open(path).load()
            assert path.with_suffix(".txt").is_file()
    (folder / "man_00009.txt").write_text("man")  # as if killed between a caption and its picture
    assert made(micro_folder, project, 6, batch_size=1) == whole


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_a_stop_keeps_what_is_there(micro_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep = regularise._keep

    def stop_after_the_first(*arguments: Any) -> Path:
        path = keep(*arguments)
        (run,) = folders.list_runs(tmp_path / "zibo")
        control.send(run, "stop")
        return path

    monkeypatch.setattr(regularise, "_keep", stop_after_the_first)
    code, result, _ = work_on(job_of(micro_folder, tmp_path / "zibo", 6, batch_size=1, steps=40))
    assert (code, result["complete"]) == (3, False)
    assert 0 < result["made"] < 6
    assert f"{6 - result['made']} are still to come" in result["message"]


def test_too_little_memory_halves_the_batch_then_tiles_the_vae_and_then_says_so(
    micro_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures, decode = Sampler.pictures, AutoencoderKL.decode
    tried: list[int] = []

    def limited(self: Sampler, prompts: Any, on_step: Any = None, batch: int = 1) -> Any:
        tried.append(len(prompts))
        if len(prompts) > most:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return pictures(self, prompts, on_step, batch)

    def decoded(vae: AutoencoderKL, *rest: Any, **options: Any) -> Any:
        if not vae.use_tiling:
            raise RuntimeError("CUDA error: out of memory")
        return decode(vae, *rest, **options)

    monkeypatch.setattr(Sampler, "pictures", limited)
    monkeypatch.setattr(AutoencoderKL, "decode", decoded)
    most = 1
    code, result, run = work_on(job_of(micro_folder, tmp_path / "zibo", 4, batch_size=4))
    assert (code, result["made"]) == (0, 4)
    assert tried == [4, 2, 1, 1, 1, 1]
    changes = [event["change"] for event in read_all(run.events_path) if event["kind"] == "oom"]
    assert changes == [{"batch_size": 2}, {"batch_size": 1}, {"vae_tile": 32}]
    most = 0
    code, end, _ = work_on(job_of(micro_folder, tmp_path / "other", 1))
    assert (code, end["code"]) == (1, "out-of-memory")


def test_a_full_disk_is_a_sentence_and_what_is_there_stays(
    micro_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, written = regularise.atomic_write, []

    def full_after_two(path: Path, data: bytes | str) -> None:
        if path.suffix == ".png":
            written.append(path)
            if len(written) > 2:
                from engine.plan.files import disk_errors

                with disk_errors(path):
                    raise OSError(28, os.strerror(28))
        write(path, data)

    monkeypatch.setattr(regularise, "atomic_write", full_after_two)
    code, end, _ = work_on(job_of(micro_folder, tmp_path / "zibo", 4))
    assert (code, end["code"]) == (1, "disk-full")
    assert len(list((tmp_path / "zibo" / "reg" / "1_man").glob("*.png"))) == 2


def test_the_guides_negative_prompt_is_read_whole() -> None:
    tokenizer = clip_tokenizer()
    reading, beyond = reading_for(tokenizer, ["A man, 4k, ultra detailed, masterpiece", GUIDES_NEGATIVE])
    ids = reading.token_ids(tokenizer, [GUIDES_NEGATIVE])
    assert (reading.max_tokens, beyond) == (150, 0)
    assert ids.weights is not None
    assert float(ids.weights.max()) == pytest.approx(1.1**3)
    assert reading_for(tokenizer, ["a man"])[0].max_tokens == 75
    assert reading_for(tokenizer, ["word " * 300])[1] == 75


def test_parameters_are_written_as_a1111_reads_them() -> None:
    asked = SamplePrompt("a man", 1024, 768, 5, "bad, (ugly:1.2)", 20, 7.0, "euler_a")
    text = parameters(asked, "model, with: marks")
    assert text.splitlines()[-1].endswith('Model: "model, with: marks", Version: lora-tui')
    assert seed_of(text) == 5
    assert seed_of("a man, Seed: 7\nSteps: 3") is None
    assert "Negative" not in parameters(SamplePrompt("a man", 64, 64, 1), "m")


def test_a_class_in_any_writing_is_kept(tmp_path: Path) -> None:
    about = PngInfo()
    about.add_text("parameters", parameters(SamplePrompt("A 男 мужчина", 64, 64, 3), "модель"))
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png", pnginfo=about)
    assert read(tmp_path / "a.png").startswith("A 男 мужчина\n")
    assert seed_of(read(tmp_path / "a.png")) == 3
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:60])
    assert (read(tmp_path / "b.png"), read(tmp_path / "nowhere.png")) == ("", "")


def test_options_are_the_guides() -> None:
    options = RegularisingOptions()
    assert options.prompt_for("man") == "A man, 4k, ultra detailed, masterpiece"
    assert options.prompt_for("elephant") == "An elephant, 4k, ultra detailed, masterpiece"
    assert (options.steps, options.guidance, options.sampler, options.batch_size) == (20, 7.0, "euler_a", 2)
    assert options.size((1024, 1000)) == (1024, 1000)
    assert GUIDES_NEGATIVE.count(",") == 35
