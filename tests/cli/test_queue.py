"""`lora-tui queue` as a person meets it; the runner is a real process, the engine a fake."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from engine.runs import on_end, queue
from engine.runs.folder import find, list_runs
from engine.runs.lock import look
from engine.runs.state import observe
from lora_tui import recent


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def idle() -> bool:
    return queue.runner().status != "held"


@pytest.fixture(autouse=True)
def nothing_stays_behind() -> Iterator[None]:
    yield
    for lock in [queue.runner(), *(look(entry.run) for entry in queue.entries())]:
        if lock.status == "held":
            os.kill(lock.pid, signal.SIGKILL)


def test_variants_of_a_project_one_after_the_other(lora_tui, project, fake_engine):
    fake_engine(steps=2)
    assert "is empty" in lora_tui("queue").out
    assert lora_tui("queue", "start", "--json").json["error"]["code"] == "queue-empty"
    first = lora_tui("queue", "add", project, "--json")
    assert first.code == 0
    assert first.json["entries"][0]["state"] == "queued"
    assert (first.json["working"], first.json["pid"]) == (False, None)
    assert "queue start" in lora_tui("queue", "add", project, "--set", "max_train_epochs=3", "--device", "cpu").out
    assert recent.projects() == [project]
    listed = lora_tui("queue", "list", "--json").json["entries"]
    assert [one["set"] for one in listed] == [None, "max_train_epochs=3"]
    assert "max_train_epochs=3" in lora_tui("queue", "list").out
    nothing = lora_tui("queue", "add", project, "nowhere")
    assert (nothing.code, "Nothing was added." in nothing.err) == (1, True)
    assert len(list_runs(project)) == 2
    settings = [run.job.settings for run in list_runs(project)]
    assert [one.max_train_epochs for one in settings if one] == [2, 3]
    assert [run.job.device for run in list_runs(project)] == ["auto", "cpu"]
    assert [run["state"] for run in lora_tui("runs", project, "--json").json["runs"]] == ["queued", "queued"]
    assert lora_tui("queue", "start", "--json").json["pid"] > 0
    wait_for(lambda: all(observe(run).state == "finished" for run in list_runs(project)) and idle())
    listed = lora_tui("queue", "list", "--json").json
    assert [(one["number"], one["state"], one["step"]) for one in listed["entries"]] == [
        (1, "finished", 2),
        (2, "finished", 2),
    ]
    assert "All of it is over" in lora_tui("queue", "list").out
    assert "2 entries" in lora_tui("queue", "clear").out
    assert queue.entries() == []
    assert len(list_runs(project)) == 2


def test_the_settings_are_frozen_when_it_is_added(lora_tui, project, fake_engine):
    fake_engine()
    lora_tui("queue", "add", project)
    file = project / "project.toml"
    file.write_text(file.read_text().replace("max_train_epochs = 2", "max_train_epochs = 9"))
    settings = find("last", project).job.settings
    assert settings is not None
    assert settings.max_train_epochs == 2


def test_nothing_is_added_where_one_of_several_is_wrong(lora_tui, project, tmp_path):
    assert lora_tui("queue", "add", project, tmp_path / "nothing", "--json").code == 1
    assert lora_tui("queue", "add", project, "--set", "learning_rate=0.0003", "--json").code == 1
    assert queue.entries() == []
    assert not (project / "runs").exists()


def test_a_full_disk_leaves_no_run_behind(lora_tui, project, monkeypatch):
    from engine.plan.errors import UserError

    def full(*arguments: object) -> None:
        raise UserError("disk-full", "The disk is full.")

    monkeypatch.setattr(queue, "add", full)
    assert lora_tui("queue", "add", project, "--json").json["error"]["code"] == "disk-full"
    assert not (project / "runs").exists()


def test_removing(lora_tui, project, fake_engine):
    fake_engine(steps=3000, step_seconds=0.02)
    lora_tui("queue", "add", project, project)
    first, second = list_runs(project)
    lora_tui("queue", "start")
    wait_for(lambda: look(first).status == "held")
    at_work = lora_tui("queue", "remove", "1", "--yes", "--json")
    assert at_work.json["error"]["code"] == "run-busy"
    assert f"lora-tui stop {first.path}" in at_work.err
    asked = lora_tui("queue", "remove", second.name, "--json")
    assert asked.json["error"]["code"] == "not-confirmed"
    waits = lora_tui("runs", "remove", second.path, "--yes", "--json")
    assert waits.json["error"]["code"] == "in-queue"
    assert "queue remove 2" in waits.err
    resumed = lora_tui("resume", second.path, "--json")
    assert resumed.json["error"]["code"] == "in-queue"
    assert lora_tui("queue", "remove", second.path, "--yes", "--json").json["removed"][0]["number"] == 2
    assert list_runs(project) == [first]
    assert lora_tui("queue", "remove", "7", "--json").json["error"]["code"] == "no-such-entry"
    assert lora_tui("stop", first.path).code == 0
    assert lora_tui("queue", "remove", "1").code == 0  # over: only the list is changed, and nothing is asked
    assert list_runs(project) == [first]


def test_stopping_the_queue(lora_tui, project, fake_engine):
    assert lora_tui("queue", "stop", "--json").json["error"]["code"] == "queue-idle"
    fake_engine(steps=3000, step_seconds=0.02)
    lora_tui("queue", "add", project, project)
    lora_tui("queue", "start")
    again = lora_tui("queue", "start", "--json")
    assert again.json["error"]["code"] == "queue-busy"
    assert "at work; it is done" in lora_tui("queue", "add", project).out
    stopping = lora_tui("queue", "stop", "--json").json
    assert (stopping["working"], stopping["stopping"]) == (True, True)
    assert "Stops after the run" in lora_tui("queue", "list").out
    first = list_runs(project)[0]
    wait_for(lambda: look(first).status == "held")
    lora_tui("stop", first.path)
    wait_for(idle)
    assert [observe(run).state for run in list_runs(project)] == ["stopped", "queued", "queued"]
    assert "not at work" in lora_tui("queue", "list").out


def test_the_configs_on_end_runs_once_for_the_queue(lora_tui, project, fake_engine, tmp_path):
    told = tmp_path / "told"
    on_end.config_path().parent.mkdir(parents=True)
    on_end.config_path().write_text(f'on_end = "echo $LORA_TUI_STATE >> {told}"')
    fake_engine(steps=1)
    lora_tui("queue", "add", project, project)
    lora_tui("queue", "start")
    wait_for(told.exists)
    time.sleep(2 * on_end.POLL_SECONDS)  # in which the watcher of a run would have told as well
    assert told.read_text() == "finished\n"


def test_names_cannot_reach_the_terminal(lora_tui, project, fake_engine):
    fake_engine(then="exit-before-lock")
    lora_tui("queue", "add", project)
    entry = queue.entries()[0]
    with queue.at_once():
        queue.write(
            type(entry)(entry.number, entry.path + "/\x1b[2J", entry.project + "\x1b]0;x\x07", trouble="\x1b[1m")
        )
    assert "\x1b" not in lora_tui("queue", "list").out
