"""`watch --plain`: lines for pipes and screen readers, its exit codes, and its JSON."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from benchmarks.recorded import hold, record
from engine.runs.events import EventWriter
from engine.runs.folder import RunFolder, create
from engine.runs.job import Job
from lora_tui import recent
from lora_tui.commands.watch import run_to_watch
from lora_tui.plain import follow


def run_of(folder: Path, ending: str, steps: int = 30) -> RunFolder:
    return record(folder / "zibo" / "runs" / "2026-11-22_153012", steps, ending, samples=False)  # type: ignore[arg-type]


@pytest.mark.parametrize(("ending", "code"), [("finished", 0), ("failed", 1), ("died", 1)])
def test_run_that_is_over_is_summed_up_and_its_end_is_the_exit_code(lora_tui, tmp_path, ending, code):
    run = run_of(tmp_path, ending)
    answer = lora_tui("watch", run.path, "--plain")
    assert answer.code == code
    first, second = answer.out.splitlines()
    assert first.startswith(f"run 2026-11-22_153012: {ending}, step 30 of ")
    assert second.startswith(f"{ending} at step 30 of ")
    assert answer.err == ""


def test_stopped_run_exits_130(lora_tui, tmp_path):
    run = run_of(tmp_path, "died")
    with EventWriter(run.events_path) as events:
        events.write("end", status="stopped", message="Saved at step 30.", output=None)
    answer = lora_tui("watch", "--plain", run.path)
    assert answer.code == 130
    assert "stopped at step 30 of 3000: Saved at step 30." in answer.out


def test_without_a_terminal_watch_is_plain(lora_tui, tmp_path):
    assert lora_tui("watch", run_of(tmp_path, "finished").path).out.startswith("run 2026-11-22_153012: finished")


def test_long_history_is_one_line(lora_tui, tmp_path):
    assert len(lora_tui("watch", run_of(tmp_path, "finished", 2500).path, "--plain").out.splitlines()) == 2


def test_json_is_one_object_and_the_lines_go_to_stderr(lora_tui, tmp_path):
    run = run_of(tmp_path, "finished")
    answer = lora_tui("watch", run.path, "--json")
    assert answer.code == 0
    assert answer.json == {
        "run": str(run.path),
        "state": "finished",
        "step": 30,
        "total_steps": 30,
        "lora": [str(run.output_dir / name) for name in sorted(path.name for path in run.output_dir.iterdir())],
        "message": "Trained 30 steps.",
    }
    assert "finished at step 30 of 30" in answer.err


def test_everything_that_happens_is_a_line(tmp_path):
    run = run_of(tmp_path, "running")
    said: list[str] = []
    wrote = threading.Event()

    def say(line: str) -> None:
        said.append(line)
        if not wrote.is_set():  # after the summary of what was before
            wrote.set()
            with EventWriter(run.events_path) as events:
                events.write("phase", name="encoding pictures", state="start", done=0, total=4, unit="pictures")
                events.write("phase", name="encoding pictures", state="progress", done=2, total=4, unit="pictures")
                events.write("step", step=31, epoch=1, epoch_step=31, loss=0.5, loss_avg=0.25, seconds=0.7, lr={})
                events.write("step", step=32, epoch=1, epoch_step=32, loss=None, loss_avg=None, seconds=None, lr={})
                events.write("validation", step=32, loss=0.123456)
                events.write("validation", step=33, loss=None)
                events.write("warning", code="x", message="Look out\x1b[2J.", change=None)
                events.write("sample", step=32, path="samples/a.png", prompt="zibo", seed=1, weight=1.0)
                events.write("checkpoint", step=32, path="checkpoints/step-00000032", bytes=1)
                events.write("heartbeat")
                events.write("who-knows", what=1)
                events.write("end", status="finished", message="Trained 32 steps.", output=None)

    with hold(run):
        seen = follow(run, say, lambda: False, poll_seconds=0.0)
    assert seen.state == "finished"
    without_clock = [line[9:] for line in said[1:-1]]
    assert without_clock[0] == "encoding pictures, 4 pictures"
    assert without_clock[1].startswith("step 31 of 3000, epoch 1, loss 0.5000, average 0.2500, 0.70 s")
    assert without_clock[2].startswith("step 32 of 3000, epoch 1")
    assert without_clock[3:5] == ["validation loss 0.1235 at step 32", "validation loss no number at step 33"]
    assert [line.split(" ")[0] for line in without_clock[5:]] == ["warning:", "sample", "checkpoint"]
    assert said[-1] == "finished at step 32 of 3000: Trained 32 steps."


def test_leaving_leaves_the_run_alone(tmp_path):
    run = run_of(tmp_path, "running")
    before = run.events_path.read_bytes()
    said: list[str] = []
    with hold(run):
        seen = follow(run, said.append, lambda: True, poll_seconds=0.0)
    assert seen.state == "training"
    assert len(said) == 1
    assert run.events_path.read_bytes() == before
    assert list(run.control_dir.iterdir()) == []


def test_no_control_code_comes_out(lora_tui, tmp_path):
    run = run_of(tmp_path, "died")
    with EventWriter(run.events_path) as events:
        events.write("end", status="failed", message="bad \x1b]0;x\x07", output=None, hint="\x1b[31m")
    assert "\x1b" not in lora_tui("watch", run.path, "--plain").out


def test_run_that_is_not_there_is_one_line(lora_tui, tmp_path):
    answer = lora_tui("watch", tmp_path / "nothing", "--plain")
    assert answer.code == 1
    assert "There is no run" in answer.err


def test_without_a_name_the_run_at_work_here_is_watched(tmp_path, monkeypatch):
    at_work = record(tmp_path / "here" / "runs" / "2026-11-20_100000", 5, "running", samples=False)
    newer = record(tmp_path / "here" / "runs" / "2026-11-21_100000", 5, "finished", samples=False)
    monkeypatch.chdir(tmp_path / "here")
    assert run_to_watch("", None) == newer
    with hold(at_work):
        assert run_to_watch("", None) == at_work
        assert run_to_watch("last", None) == at_work
        assert run_to_watch(newer.name, None) == newer


def test_elsewhere_the_run_at_work_in_the_projects_used_last_is_watched(tmp_path, monkeypatch):
    at_work = record(tmp_path / "one" / "runs" / "2026-11-20_100000", 5, "running", samples=False)
    newer = record(tmp_path / "two" / "runs" / "2026-11-21_100000", 5, "finished", samples=False)
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    monkeypatch.setattr(recent, "projects", lambda: [tmp_path / "one", tmp_path / "two"])
    assert run_to_watch("", None) == newer
    with hold(at_work):
        assert run_to_watch("", None) == at_work


def test_where_nothing_was_ever_run_it_says_how_to_start(lora_tui, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(recent, "projects", list)
    answer = lora_tui("watch")
    assert answer.code == 1
    assert "There is no run to watch yet. Start one: lora-tui train DIR" in answer.err


def test_a_job_beside_training_is_at_work_and_prepares_nothing(tmp_path):
    (tmp_path / "zibo").mkdir()
    run = create(tmp_path / "zibo" / "runs", Job("caption", tmp_path / "zibo", "zibo", device="cpu"))
    with EventWriter(run.events_path) as events:
        events.write("phase", name="captioning", state="start", done=3, total=24, unit="pictures")
    said: list[str] = []
    with hold(run):
        follow(run, said.append, lambda: True, 0.01)
    assert said == [f"run {run.name}: at work, captioning, 3 of 24 pictures"]
