"""Removing runs and checkpoints: whole or not at all, and never anything else."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from engine.plan.errors import UserError
from engine.runs import removal
from engine.runs.checkpoints import list_checkpoints
from engine.runs.folder import RunFolder, create, list_runs
from engine.runs.job import Job
from engine.runs.lock import RunLock
from engine.runs.removal import contents, remove_checkpoints, remove_run


def made(tmp_path: Path, *steps: int) -> RunFolder:
    """A run with checkpoints of these steps, a sample, a LoRA that is linked into model/ and one that is not."""
    run = create(tmp_path / "runs", Job("train", name="zibo"))
    for step in steps:
        folder = run.checkpoints_dir / f"step-{step:08d}"
        folder.mkdir()
        (folder / "state.json").write_text(json.dumps({"step": step, "epoch": 1}))
    (run.samples_dir / "step00000001_00_1.png").write_bytes(b"x" * 100)
    (tmp_path / "model").mkdir(exist_ok=True)
    for name in ("zibo", "only"):
        (run.output_dir / f"{name}.safetensors").write_bytes(b"l" * 1000)
    os.link(run.output_dir / "zibo.safetensors", tmp_path / "model" / f"{run.name}.safetensors")
    return run


def code(run: RunFolder) -> str:
    with pytest.raises(UserError) as error:
        remove_run(run)
    return error.value.code


def test_what_would_go(tmp_path):
    found = contents(made(tmp_path, 1, 2))
    assert (found.checkpoints, found.samples, found.loras, found.only_here) == (2, 1, 2, ("only.safetensors",))
    assert 1100 <= found.bytes < 2000  # not the thousand bytes that stay in model/


def test_a_run_goes_and_its_loras_stay_in_model(tmp_path):
    run, other = made(tmp_path, 1), made(tmp_path)
    remove_run(run)
    assert list_runs(tmp_path) == [other]
    assert [path.name for path in run.path.parent.iterdir()] == [other.name]
    assert (tmp_path / "model" / f"{run.name}.safetensors").read_bytes() == b"l" * 1000


def test_never_of_a_run_at_work(tmp_path):
    run = made(tmp_path, 1)
    with RunLock.acquire(run):
        assert code(run) == "run-busy"
        with pytest.raises(UserError) as error:
            remove_checkpoints(run, list_checkpoints(run))
        assert error.value.code == "run-busy"
    assert len(list_checkpoints(run)) == 1


def test_never_anything_but_a_run_folder(tmp_path):
    run = made(tmp_path)
    (tmp_path / "pictures").mkdir()
    (tmp_path / "runs" / "empty").mkdir()
    elsewhere = tmp_path / "elsewhere" / run.name  # a run folder that lies in no folder of runs
    shutil.copytree(run.path, elsewhere)
    (tmp_path / "runs" / "link").symlink_to(elsewhere)
    project = tmp_path / "runs" / "project"
    shutil.copytree(run.path, project)
    (project / "project.toml").write_text("")
    for path in (tmp_path / "pictures", tmp_path / "runs" / "empty", elsewhere, tmp_path / "runs" / "link", project):
        assert code(RunFolder(path)) == "not-a-run"
        assert path.is_dir()
    assert code(RunFolder(tmp_path / "runs" / "gone")) == "not-a-run"


@pytest.mark.parametrize("name", ["lock", "checkpoints", "job.toml"])
def test_links_that_lead_out_of_it_are_not_followed(tmp_path, name):
    """A run folder may come from a stranger: its `lock` could be a link to a file that would be written over."""
    run = made(tmp_path)
    treasure = tmp_path / "treasure"
    inside = run.path / name
    if name == "checkpoints":
        inside.rmdir()
        treasure.mkdir()
        (treasure / "file").write_text("mine")
    else:
        inside.unlink(missing_ok=True)
        treasure.write_text('kind = "train"')
    inside.symlink_to(treasure)
    assert code(run) == "not-a-run"
    assert (treasure / "file" if name == "checkpoints" else treasure).read_text() in ("mine", 'kind = "train"')


def test_links_inside_are_removed_and_not_what_they_name(tmp_path):
    run = made(tmp_path)
    treasure = tmp_path / "treasure"
    treasure.mkdir()
    (treasure / "file").write_text("mine")
    (run.samples_dir / "link").symlink_to(treasure)
    (run.samples_dir / "file.png").symlink_to(treasure / "file")
    remove_run(run)
    assert not run.path.exists()
    assert (treasure / "file").read_text() == "mine"


def test_killed_half_way_it_is_gone_and_cleaned_up_later(tmp_path, monkeypatch):
    run, other = made(tmp_path, 1), made(tmp_path)

    def killed(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            remove_run(run)
    assert list_runs(tmp_path) == [other]
    assert len(list(run.path.parent.iterdir())) == 2
    remove_run(other)
    assert list(run.path.parent.iterdir()) == []


def test_a_rename_that_is_refused_leaves_the_run_whole(tmp_path, monkeypatch):
    run = made(tmp_path, 1)

    def refuse(*arguments: object) -> None:
        raise PermissionError(13, "no")

    monkeypatch.setattr(Path, "rename", refuse)
    assert code(run) == "not-writable"
    assert len(list_checkpoints(run)) == 1


def test_files_that_resist_are_told(tmp_path, monkeypatch):
    run = made(tmp_path)
    monkeypatch.setattr(removal, "clean", lambda folder: None)  # as where files belong to somebody else
    assert code(run) == "not-writable"


def test_checkpoints_go_and_everything_else_stays(tmp_path):
    run = made(tmp_path, 1, 2, 3)
    run.events_path.write_text("")
    remove_checkpoints(run, list_checkpoints(run)[:-1])
    assert [one.step for one in list_checkpoints(run)] == [3]
    assert sorted(path.name for path in run.checkpoints_dir.iterdir()) == ["step-00000003"]
    assert run.events_path.read_text() == ""  # only the engine writes events
    assert len(list(run.output_dir.iterdir())) == 2
