"""How pictures look is worked out once, by threads that can be stopped, and kept in the project's cache."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from engine.plan import known_files, looked
from engine.plan.look_worker import Worker
from engine.plan.looked import NAME, Looks, keep_looks, kept_looks
from engine.plan.looks import look_at
from engine.plan.project import Project
from tests.plan.drawn import drawing, texture


@pytest.fixture(autouse=True)
def few_are_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looked, "WORTH_KEEPING", 2)
    monkeypatch.setattr(known_files, "SETTLED_SECONDS", -3600.0)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    folder = tmp_path / "img" / "1_ohwx man"
    folder.mkdir(parents=True)
    for number in range(4):
        drawing(number).resize((96, 96)).save(folder / f"{number}.png")
    (folder / "4.png").write_bytes(b"no picture")
    cut_out = texture(1).resize((60, 60))
    cut_out.putalpha(0)
    cut_out.save(folder / "5.png")
    return Project.open(tmp_path)


def files(project: Project) -> list[Path]:
    return sorted((project.image_dir / "1_ohwx man").iterdir())


def test_all_are_looked_at_once_and_kept(project: Project) -> None:
    looks, told = Looks(), []
    looks.look_at(files(project), lambda done, total: told.append((done, total)))
    assert told[-1] == (6, 6)
    assert [looks[path] for path in files(project)] == [look_at(path) for path in files(project)]
    assert looks[files(project)[4]] is None
    keep_looks(project, looks)
    again = kept_looks(project)
    assert again.known == looks.known
    again.look_at(files(project))
    assert (again.looked, again.lacking(files(project))) == (0, [])


def test_a_changed_picture_is_looked_at_anew(project: Project) -> None:
    looks, path = Looks(), files(project)[0]
    looks.look_at(files(project))
    before = looks[path]
    texture(9).save(path)
    looks.look_at(files(project))
    assert looks.looked == 7
    assert looks[path] != before


def test_whoever_reports_can_end_it_and_what_was_found_stays(project: Project) -> None:
    class EnoughError(Exception):
        pass

    def progress(done: int, total: int) -> None:
        if done >= 2:
            raise EnoughError

    looks = Looks()
    with pytest.raises(EnoughError):
        looks.look_at(files(project), progress, workers=1)
    assert looks.looked == 2
    assert len(looks.lacking(files(project))) == 4


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"v": 99, "looks": {}}',
        '{"v": 1, "looks": {"a": [1, 2]}}',
        '{"v": 1, "looks": {"a": [1, 2, 3, "x", "0", "", 0, ""]}}',
        '{"v": 1, "looks": {"a": [1, 2, 3, 0.1, "ff", "AAAA", 0, "black"]}}',
        '{"v": 1, "looks": {"a": [1, 2, 3, 0.1, "zz", "AAAA", 0, "black"]}}',
        '{"v": 1, "looks": 7}',
    ],
)
def test_a_cache_that_makes_no_sense_is_as_none(project: Project, text: str) -> None:
    project.cache_dir.mkdir()
    (project.cache_dir / NAME).write_text(text, encoding="utf-8")
    assert kept_looks(project).known == {}


def test_few_new_ones_are_not_written_and_a_full_disk_is_no_error(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = Looks()
    looks.look_at(files(project)[:1])
    keep_looks(project, looks)
    assert not project.cache_dir.exists()
    looks.look_at(files(project))
    project.cache_dir.write_text("in the way", encoding="utf-8")
    keep_looks(project, looks)
    assert looks.new == 6
    os.unlink(project.cache_dir)
    keep_looks(project, looks)
    assert looks.new == 0
    assert len(json.loads((project.cache_dir / NAME).read_bytes())["looks"]) == 6


# ----------------------------------------------------------------------------------------------------------- processes
def test_processes_see_what_threads_see(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = project.image_dir / "1_ohwx man" / os.fsdecode(b"caf\xe9 [red]\n.png")
    drawing(8).save(odd)
    threads, processes = Looks(), Looks()
    threads.look_at(files(project))
    monkeypatch.setattr(looked, "_FEW", 0)
    monkeypatch.setattr(looked, "look_at", None)
    processes.look_at(files(project), workers=2)
    assert processes.known == threads.known
    assert processes[odd] is not None


def test_a_process_that_is_killed_by_a_picture_is_begun_again(project: Project) -> None:
    worker = Worker()
    try:
        first = files(project)[0]
        assert worker.look_at(first) == look_at(first)
        assert worker._process is not None
        worker._process.kill()
        worker._process.wait(20)
        assert worker.look_at(first) is None
        assert worker.look_at(first) == look_at(first)
    finally:
        worker.end()


def test_where_no_process_can_be_begun_threads_look(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looked, "_FEW", 0)
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    looks = Looks()
    looks.look_at(files(project))
    assert looks[files(project)[0]] == look_at(files(project)[0])


def test_a_process_ends_with_whoever_asked(project: Project) -> None:
    worker = Worker()
    worker.look_at(files(project)[0])
    process = worker._process
    assert process is not None
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(20) == 0
    worker.end()
