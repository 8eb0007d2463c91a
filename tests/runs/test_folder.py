"""Run folders: made whole or not at all, named by the clock, found by what people type."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from engine.plan.errors import UserError
from engine.plan.settings import resolve
from engine.runs import job as job_module
from engine.runs.folder import RunFolder, create, find, list_runs
from engine.runs.job import Job

NOON = 1795348800.0


def test_a_job_comes_back_as_it_was_written(tmp_path: Path) -> None:
    job = Job(
        "train",
        project=tmp_path / "zibo",
        name="zibo",
        trigger="zibo",
        class_name="man",
        settings=resolve({"network_dim": 16, "sample_prompts": ["zibo, a photo of a man --d 3"]}),
        repeats={"25_zibo man": 10},
        left_out=("img/25_zibo man/a.png",),
        device="cuda:1",
        arguments={"no_reg": True, "seeds": [1, 2], "nothing": None},
    )
    run = create(tmp_path / "runs", job)
    read = run.job
    assert read.settings == job.settings
    assert read.arguments == {"no_reg": True, "seeds": [1, 2]}
    assert (read.kind, read.project, read.trigger, read.class_name) == ("train", job.project, "zibo", "man")
    assert (read.repeats, read.left_out, read.device) == (job.repeats, job.left_out, "cuda:1")
    assert run.kind == "train"
    with pytest.raises(UserError, match="exists already"):
        job.write(run.job_path)


def test_runs_of_one_second_get_numbers_and_stay_in_order(tmp_path: Path) -> None:
    runs = [create(tmp_path / "runs", Job("train"), NOON) for _ in range(11)]
    assert runs[1].name == f"{runs[0].name}-2"
    assert list_runs(tmp_path) == runs
    assert find("last", tmp_path) == runs[10]
    later = create(tmp_path / "runs", Job("compare"), NOON + 1)
    assert find("last", tmp_path) == later
    assert find(runs[3].name, tmp_path) == runs[3]
    assert find(str(runs[3].path)) == runs[3]


def test_a_run_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no run in .* yet"):
        find("last", tmp_path)
    run = create(tmp_path / "runs", Job("train"))
    with pytest.raises(UserError) as error:
        find("2020-01-01_000000", tmp_path)
    assert run.name in error.value.hint


@pytest.mark.parametrize("text", ["", "x = ", 'kind = "train"\n[settings]\nnetwork_dimm = 3\n', "v = 1\n"])
def test_a_damaged_job(tmp_path: Path, text: str) -> None:
    run = RunFolder(tmp_path)
    run.job_path.write_text(text)
    with pytest.raises(UserError):
        _ = run.job


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(*args: object) -> None:
        raise UserError("disk-full", "The disk of here is full.", "")

    monkeypatch.setattr(job_module, "atomic_write", no_room)
    with pytest.raises(UserError, match="full"):
        create(tmp_path / "runs", Job("train"))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, *args: object, **kwargs: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(UserError, match="read-only"):
        create(tmp_path / "runs", Job("train"))


def test_a_file_that_vanishes_while_sizes_are_added_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = RunFolder(tmp_path)
    (tmp_path / "output").mkdir()
    (tmp_path / "output" / "a").write_bytes(b"12345")
    (tmp_path / "output" / "gone").write_bytes(b"123")
    (tmp_path / "link").symlink_to("output/a")
    original = Path.lstat

    def lstat(self: Path) -> os.stat_result:
        if self.name == "gone":
            raise FileNotFoundError(self)
        return original(self)

    monkeypatch.setattr(Path, "lstat", lstat)
    assert run.bytes == 5


def test_a_job_that_holds_a_name_that_is_not_utf_8_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"UTF-8: lora = .*caf\\udce9.safetensors"):
        create(tmp_path / "runs", Job("inspect", arguments={"lora": "/x/caf\udce9.safetensors"}))
    assert list(tmp_path.iterdir()) == []


def test_a_project_that_was_moved_away_does_not_come_back_for_a_run(tmp_path: Path) -> None:
    project = tmp_path / "zibo"
    with pytest.raises(UserError, match="not there any more"):
        create(project / "runs", Job("train", project=project))
    assert not project.exists()
