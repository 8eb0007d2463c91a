"""The queue: its entries, whose turn it is, and the runner as a real process with a fake engine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from engine.plan.errors import UserError
from engine.runs import queue, queue_runner
from engine.runs.events import EventWriter
from engine.runs.folder import RunFolder, create
from engine.runs.job import Job
from engine.runs.launch import launch
from engine.runs.lock import RunLock, look
from engine.runs.state import observe

HERE = Path(__file__).parent
FAKE = (sys.executable, str(HERE / "fake_engine.py"))
RUNNER = (sys.executable, str(HERE / "fake_runner.py"))


@pytest.fixture(autouse=True)
def own_queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("PYTHONPATH", str(HERE.parents[1]))
    monkeypatch.setattr(queue_runner, "RUNNER_COMMAND", RUNNER)
    yield
    for lock in [queue.runner(), *(look(entry.run) for entry in queue.entries())]:  # what a failed test left running
        if lock.status == "held" and lock.pid != os.getpid():
            os.kill(lock.pid, signal.SIGKILL)


def made(tmp_path: Path, **arguments: Any) -> RunFolder:
    return create(tmp_path / "runs", training(**arguments))


def training(**arguments: Any) -> Job:
    from engine.plan.settings import resolve

    return Job("train", name="zibo", settings=resolve({}), arguments=arguments)


def added(tmp_path: Path, **arguments: Any) -> RunFolder:
    run = made(tmp_path, **arguments)
    queue.add(run)
    return run


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def idle() -> bool:
    return queue.runner().status != "held"


def state(run: RunFolder) -> str:
    return observe(run).state


def checkpoint(run: RunFolder, step: int) -> None:
    folder = run.checkpoints_dir / f"step-{step:08d}"
    folder.mkdir()
    (folder / "state.json").write_text(json.dumps({"step": step, "epoch": 1}))


# ------------------------------------------------------------------------------------------------------ entries
def test_entries_keep_their_order(tmp_path: Path) -> None:
    runs = [added(tmp_path) for _ in range(12)]
    assert [entry.run for entry in queue.entries()] == runs
    assert [entry.number for entry in queue.entries()] == list(range(1, 13))
    with queue.at_once():
        queue.forget(queue.entries()[3])
    assert [entry.run for entry in queue.entries()] == runs[:3] + runs[4:]
    assert queue.add(made(tmp_path)).number == 13


def test_damaged_entries_are_passed_over(tmp_path: Path) -> None:
    run = added(tmp_path)
    folder = queue.folder() / "entries"
    for name, text in [("000002.json", "{"), ("000003.json", "[]"), ("x.json", "\0"), ("000004.json", '{"v": 9}')]:
        (folder / name).write_text(text)
    (folder / "000005.json").write_text('{"v": 1, "path": "relative"}')
    assert [entry.run for entry in queue.entries()] == [run]
    assert queue.add(made(tmp_path)).number == 6


def test_many_terminals_at_once_lose_nothing(tmp_path: Path) -> None:
    runs = [made(tmp_path) for _ in range(6)]
    script = (
        "import sys; from pathlib import Path; from engine.runs import queue;"
        "from engine.runs.folder import RunFolder; queue.add(RunFolder(Path(sys.argv[1])))"
    )
    running = [subprocess.Popen([sys.executable, "-c", script, str(run.path)]) for run in runs]
    assert [process.wait() for process in running] == [0] * 6
    assert sorted(entry.path for entry in queue.entries()) == [str(run.path) for run in runs]


def test_whose_turn_it_is(tmp_path: Path) -> None:
    run = added(tmp_path)
    entry = queue.entries()[0]
    assert queue.turn(entry) == "start"
    assert queue.turn(replace(entry, trouble="no disk")) == "over"
    with RunLock.acquire(run):
        assert queue.turn(entry) == "wait"
        with EventWriter(run.events_path) as events:
            events.write("step", step=5)
    assert queue.turn(entry) == "resume"  # it died, for the first time
    assert queue.turn(queue.resumed(entry)) == "over"  # and again at the same place
    checkpoint(run, 5)
    assert queue.turn(queue.resumed(entry)) == "over"
    assert queue.turn(replace(entry, resumed_at=4)) == "resume"  # it died, but it had got on
    for status in ("stopped", "failed", "finished"):
        with EventWriter(run.events_path) as events:
            events.write("end", status=status)
        assert queue.turn(entry) == "over"


def test_removing_deletes_only_what_has_not_begun(tmp_path: Path) -> None:
    waiting, over, at_work = added(tmp_path), added(tmp_path), added(tmp_path)
    with RunLock.acquire(over), EventWriter(over.events_path) as events:
        events.write("end", status="failed")
    with RunLock.acquire(at_work):
        for entry in queue.entries()[:2]:
            queue.remove(entry)
        with pytest.raises(UserError) as error:
            queue.remove(queue.entries()[0])
    assert error.value.code == "run-busy"
    assert (waiting.path.exists(), over.path.exists(), at_work.path.exists()) == (False, True, True)
    assert [entry.run for entry in queue.entries()] == [at_work]


# ------------------------------------------------------------------------------------------------------ the runner
def test_one_after_the_other_whatever_becomes_of_them(tmp_path: Path) -> None:
    runs = [
        added(tmp_path, steps=3),
        added(tmp_path, then="fail"),
        added(tmp_path, then="exit-before-lock"),
        added(tmp_path, steps=2, step_seconds=0.05),
    ]
    told = tmp_path / "told"
    queue_runner.start(f'echo "$LORA_TUI_STATE|$LORA_TUI_MESSAGE|$LORA_TUI_RUN" > {told}.part; mv {told}.part {told}')
    wait_for(told.exists)
    assert [state(run) for run in runs] == ["finished", "failed", "queued", "finished"]
    entries = queue.entries()
    assert "torch is not what it should be" in entries[2].trouble
    assert [queue.turn(entry) for entry in entries] == ["over"] * 4
    ends = [end.time for run in runs if (end := observe(run).snapshot.end)]
    begins = [observe(run).snapshot.first_event_time for run in (runs[1], runs[3])]
    assert ends[0] <= begins[0]
    assert ends[1] <= begins[1]  # never two at once
    assert told.read_text() == f"failed|3 runs in the queue: 2 finished, 1 failed.|{runs[3].path}\n"
    assert not any((run.path / "on_end.log").exists() for run in runs)  # once for the queue, not for each run
    assert idle()


def test_a_run_that_dies_is_resumed_once_without_progress_and_then_left(tmp_path: Path) -> None:
    hopeless, after = added(tmp_path, steps=3, then="crash"), added(tmp_path, steps=1)
    queue_runner.start()
    wait_for(lambda: state(after) == "finished" and idle())
    assert state(hopeless) == "died"
    jobs = [line for line in hopeless.events_path.read_text().splitlines() if '"kind":"job"' in line]
    assert len(jobs) == 2
    queue_runner_says = queue.log_path().read_text()
    assert "resumed" in queue_runner_says
    with pytest.raises(UserError) as error:
        queue_runner.start()
    assert error.value.code == "queue-empty"


def test_a_stopped_run_is_left_and_the_next_begins(tmp_path: Path) -> None:
    from engine.runs.control import send

    first, second = added(tmp_path, steps=3000, step_seconds=0.02), added(tmp_path, steps=1)
    queue_runner.start()
    wait_for(lambda: state(first) == "training")
    send(first, "stop")
    wait_for(lambda: state(second) == "finished")
    assert state(first) == "stopped"


def test_a_runner_that_is_killed_takes_nothing_along_and_the_next_one_takes_over(tmp_path: Path) -> None:
    first, second = added(tmp_path, steps=100, step_seconds=0.02), added(tmp_path, steps=1)
    pid = queue_runner.start()
    wait_for(lambda: state(first) == "training")
    os.kill(pid, signal.SIGKILL)
    wait_for(idle)
    assert state(first) == "training"
    queue_runner.start()
    wait_for(lambda: state(second) == "finished")
    assert state(first) == "finished"
    assert first.events_path.read_text().count('"kind":"job"') == 1
    assert observe(second).snapshot.first_event_time >= (observe(first).snapshot.last_event_time)


def test_it_needs_no_terminal_and_ignores_hangups(tmp_path: Path) -> None:
    run = added(tmp_path, steps=60, step_seconds=0.02)
    pid = queue_runner.start()
    process = psutil.Process(pid)
    assert os.getsid(pid) == pid
    assert process.terminal() is None
    files = {os.readlink(f"/proc/{pid}/fd/{number}") for number in (0, 1, 2)} if sys.platform == "linux" else set()
    assert files <= {"/dev/null", str(queue.log_path())}
    os.kill(pid, signal.SIGHUP)
    wait_for(lambda: state(run) == "finished")


def test_it_outlives_a_starter_that_is_killed_with_its_whole_session(tmp_path: Path) -> None:
    first, second = added(tmp_path, steps=40, step_seconds=0.02), added(tmp_path, steps=1)
    script = (
        "import sys; from engine.runs import queue_runner; queue_runner.RUNNER_COMMAND = sys.argv[1:];"
        "queue_runner.start(); print('up', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, *RUNNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as front:
        assert front.stdout is not None
        assert front.stdout.readline() == b"up\n"
        os.killpg(front.pid, signal.SIGKILL)
    wait_for(lambda: state(second) == "finished")
    assert state(first) == "finished"


def test_entries_can_be_added_while_it_works(tmp_path: Path) -> None:
    added(tmp_path, steps=20, step_seconds=0.02)
    queue_runner.start()
    late = added(tmp_path, steps=1)
    wait_for(lambda: state(late) == "finished")


def test_a_second_runner_is_refused(tmp_path: Path) -> None:
    run = added(tmp_path, steps=1000, step_seconds=0.02)
    pid = queue_runner.start()
    with pytest.raises(UserError) as error:
        queue_runner.start()
    assert (error.value.code, f"process {pid}" in error.value.message) == ("queue-busy", True)
    # Also one that comes past that look, as when two terminals start it at the same moment.
    second = subprocess.run([*RUNNER], capture_output=True, text=True, check=False)
    assert second.returncode == 1
    assert "at work already" in second.stderr
    assert queue.runner().pid == pid
    os.kill(look(run).pid, signal.SIGINT)


def test_it_waits_for_a_run_that_somebody_else_began(tmp_path: Path) -> None:
    first, second = added(tmp_path, steps=50, step_seconds=0.02), added(tmp_path, steps=1)
    launch(first, FAKE)
    queue_runner.start()
    wait_for(lambda: state(second) == "finished")
    assert state(first) == "finished"
    assert observe(second).snapshot.first_event_time >= observe(first).snapshot.last_event_time


def test_stopping_the_queue_leaves_the_run_at_work(tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        queue.ask_to_stop()
    assert error.value.code == "queue-idle"
    first, second = added(tmp_path, steps=100, step_seconds=0.02), added(tmp_path, steps=1)
    queue_runner.start()
    wait_for(lambda: state(first) == "training")
    queue.ask_to_stop()
    assert queue.stop_asked()
    wait_for(idle)
    assert (state(first), state(second)) == ("finished", "queued")
    assert not queue.stop_asked()
    queue_runner.start()
    wait_for(lambda: state(second) == "finished")


def test_a_queue_that_was_stopped_with_runs_waiting_has_not_ended(tmp_path: Path) -> None:
    """`on_end` may switch the machine off."""
    said = tmp_path / "said"
    first, second = added(tmp_path, steps=100, step_seconds=0.02), added(tmp_path, steps=1)
    queue_runner.start(f"echo over >> '{said}'")
    wait_for(lambda: state(first) == "training")
    queue.ask_to_stop()
    wait_for(idle)
    wait_for(lambda: "1 run still waiting" in queue.log_path().read_text())
    assert not said.exists()
    queue_runner.start(f"echo over >> '{said}'")
    wait_for(lambda: state(second) == "finished" and said.exists() and said.read_text().endswith("\n"))
    assert said.read_text() == "over\n"


def test_what_has_finished_makes_room_at_the_next_start(tmp_path: Path) -> None:
    added(tmp_path, steps=1)
    failed = added(tmp_path, then="fail")
    queue_runner.start()
    wait_for(lambda: state(failed) == "failed" and idle())
    assert len(queue.entries()) == 2
    added(tmp_path, steps=1)
    queue_runner.start()
    assert [entry.number for entry in queue.entries()] == [2, 3]
    wait_for(idle)


def test_a_run_folder_that_is_gone_does_not_hold_up_the_others(tmp_path: Path) -> None:
    import shutil

    gone, other = added(tmp_path, steps=1), added(tmp_path, steps=1)
    shutil.rmtree(gone.path)
    queue_runner.start()
    wait_for(lambda: state(other) == "finished")


def test_its_log_is_kept_small(tmp_path: Path) -> None:
    run = added(tmp_path, steps=1)
    queue.log_path().write_bytes(b"x\n" * 2_000_000)
    queue_runner.start()
    wait_for(lambda: state(run) == "finished" and idle())
    assert queue.log_path().stat().st_size < 1_000_000
    assert "begun" in queue.log_path().read_text()
