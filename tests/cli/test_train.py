"""Starting and following a training, with a fake engine in a process of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pexpect
import psutil
import pytest

from engine.plan.errors import UserError
from engine.runs.fold import Snapshot, fold
from engine.runs.folder import create, find, list_runs
from engine.runs.job import Job
from engine.runs.launch import launch
from engine.runs.lock import LockInfo, look
from engine.runs.state import Observation, observe
from lora_tui import progress
from lora_tui.follow import follow, raise_failure

ROOT = Path(__file__).parents[2]
FAKE = (sys.executable, str(ROOT / "tests" / "runs" / "fake_engine.py"))


def wait_for(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


class Listener:
    """A reporter that remembers."""

    def __init__(self) -> None:
        self.seen: list[Observation] = []
        self.said: list[str] = []

    def show(self, seen: Observation) -> None:
        self.seen.append(seen)

    def say(self, text: str) -> None:
        self.said.append(text)

    def close(self) -> None:
        pass


def test_a_followed_training(lora_tui, project, fake_engine):
    fake_engine(steps=5)
    answer = lora_tui("train", project, "--json")
    run = find("last", project)
    assert answer.code == 0
    assert answer.json == {
        "run": str(run.path),
        "pid": answer.json["pid"],
        "state": "finished",
        "step": 5,
        "total_steps": 5,
        "lora": [str(run.output_dir / "zibo.safetensors")],
        "message": "",
    }
    assert "caching latents" in answer.err or "training" in answer.err
    job = run.job
    assert (job.kind, job.trigger, job.class_name, job.project) == ("train", "zibo", "man", project)
    assert job.settings is not None
    assert job.settings.max_train_epochs == 2
    assert lora_tui("runs", project, "--json").json["runs"][0]["state"] == "finished"


def test_a_relative_base_model_is_frozen_as_an_absolute_path(lora_tui, project, base_model, fake_engine):
    base_model.rename(project / "own base.safetensors")
    fake_engine()
    assert lora_tui("train", project, "--set", "pretrained_model_name_or_path=own base.safetensors").code == 0
    settings = find("last", project).job.settings
    assert settings is not None
    assert settings.pretrained_model_name_or_path == str(project / "own base.safetensors")


def test_detached(lora_tui, project, fake_engine):
    fake_engine(steps=20, step_seconds=0.02)
    answer = lora_tui("train", project, "--detach", "--json")
    assert answer.code == 0
    assert answer.json["state"] in ("preparing", "training")
    assert (answer.json["lora"], answer.json["pid"] > 0) == ([], True)
    run = find("last", project)
    wait_for(lambda: observe(run).over)
    assert observe(run).state == "finished"


@pytest.mark.parametrize(
    ("ask", "code", "said"),
    [
        ({"then": "fail"}, "out-of-patience", "Enough of this. Try later."),
        ({"then": "crash"}, "engine-died", "killed at step 3"),
        ({"then": "exit-without-a-word"}, "engine-died", "without a last word"),
        ({"then": "exit-before-lock"}, "engine-died", "torch is not what it should be"),
    ],
)
def test_a_training_that_fails(lora_tui, project, fake_engine, ask, code, said):
    fake_engine(**ask)
    answer = lora_tui("train", project, "--json")
    assert (answer.code, answer.json["error"]["code"]) == (1, code)
    last = answer.err.splitlines()[-1]
    assert last.startswith("error: ")
    assert said in last
    assert "Traceback" not in answer.err


def test_an_engine_that_a_full_disk_has_silenced(lora_tui, project, fake_engine, monkeypatch):
    fake_engine(then="crash")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(100, 100, 0))
    answer = lora_tui("train", project, "--json")
    assert (answer.code, answer.json["error"]["code"]) == (1, "disk-full")


def test_a_press_during_the_launch_is_not_lost(project):
    with front(project, {"steps": 1000, "step_seconds": 0.02}) as process:
        wait_for(lambda: list_runs(project) != [] and list_runs(project)[-1].log_path.exists())
        process.send_signal(signal.SIGINT)  # the engine has just been started and knows nothing yet
        out, _ = process.communicate(timeout=20)
    assert process.returncode == 130
    assert json.loads(out)["state"] == "stopped"


def front(project: Path, ask: dict[str, object]) -> subprocess.Popen[str]:
    """`lora-tui train` in a process of its own."""
    code = (
        "import sys; from engine.runs import launch; from lora_tui.cli import main;"
        f"launch.ENGINE_COMMAND = {FAKE!r}; main(['train', sys.argv[1], '--json'])"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, str(project)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
        env={**os.environ, "FAKE_ENGINE": json.dumps(ask)}, start_new_session=True,
    )  # fmt: skip


def running(project: Path) -> bool:
    try:
        return observe(find("last", project)).snapshot.step >= 2
    except UserError:
        return False


def test_ctrl_c_asks_the_engine_to_save_and_stop(project):
    with front(project, {"steps": 1000, "step_seconds": 0.02}) as process:
        wait_for(lambda: running(project))
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    answer = json.loads(out)
    assert answer["state"] == "stopped"
    assert answer["lora"] == [str(find("last", project).output_dir / "zibo.safetensors")]
    assert "save and stop" in err
    assert list(observe(find("last", project)).snapshot.answers.values()) == [
        ("stop", "done", f"Saved at step {answer['step']}.")
    ]


def test_a_second_ctrl_c_signals_the_engine(project):
    with front(project, {"steps": 1000, "step_seconds": 0.02, "ignore_stop": True}) as process:
        wait_for(lambda: running(project))
        process.send_signal(signal.SIGINT)
        run = find("last", project)
        wait_for(lambda: any(run.control_dir.iterdir()))
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=20)
    assert process.returncode == 130
    assert json.loads(out)["state"] == "stopped"


@pytest.mark.parametrize("signum", [signal.SIGHUP, signal.SIGTERM, signal.SIGKILL])
def test_leaving_leaves_the_engine_alone(project, signum):
    with front(project, {"steps": 40, "step_seconds": 0.02}) as process:
        wait_for(lambda: running(project))
        os.killpg(process.pid, signum)  # as a closing terminal does to everyone in it
        process.wait(10)
    run = find("last", project)
    wait_for(lambda: observe(run).over)
    assert observe(run).state == "finished"


def test_follow_shows_everything_and_waits_for_the_goodbye(tmp_path):
    run = create(tmp_path, Job("train", arguments={"steps": 5, "step_seconds": 0.02}))
    launch(run, FAKE)
    listener = Listener()
    seen, interrupted = follow(run, listener, lambda: 0, poll_seconds=0.01)
    assert (seen.state, seen.snapshot.step, seen.lock.status, interrupted) == ("finished", 5, "free", False)
    assert len(listener.seen) > 2
    raise_failure(run, seen)


def test_inspect(lora_tui, tmp_path, fake_engine, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    fake_engine()
    (tmp_path / "x.safetensors").write_bytes(b"")
    for _ in range(2):
        answer = lora_tui("inspect", tmp_path / "x.safetensors", "--json")
    assert answer.code == 0
    assert answer.json["format"] == "kohya"
    assert list(answer.json) == ["format", "rank", "conv_rank", "alpha", "modules", "norms", "metadata", "problems"]
    shown = lora_tui("inspect", tmp_path / "x.safetensors")
    assert shown.code == 0
    assert "\x1b" not in shown.out + shown.err
    assert "\x07" not in shown.out
    assert "Problem: It is odd. Mend it.\n" in shown.out
    assert "Strongest layers:\n         9.5  layer 0\n" in shown.out
    assert "layer 8" not in shown.out
    refused = lora_tui("inspect", "/dev/zero", "--json")
    assert refused.json["error"]["message"] == "/dev/zero is not a file."


def test_compare(lora_tui, project, tmp_path, base_model, fake_engine, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    fake_engine()
    lora = project / "model" / "zibo.safetensors"
    lora.parent.mkdir()
    lora.write_bytes(b"")
    answer = lora_tui("compare", project, "--prompt", "zibo", "--seed", "3", "--json")
    run = find("last", project)
    assert answer.code == 0
    assert answer.json == {"sheet": str(run.path / "sheet.png"), "prompts": ["p"], "seeds": [1], "weights": [0, 1]}
    assert run.job.arguments == {"lora": str(lora), "prompts": ["zibo"], "seeds": [3]}
    assert lora_tui("compare", lora).code == 0
    stray = tmp_path / "stray.safetensors"
    stray.write_bytes(b"")
    assert lora_tui("compare", stray, "--json").json["error"]["code"] == "no-base-model"
    assert lora_tui("compare", stray, "--set", f"pretrained_model_name_or_path={base_model}").code == 0
    assert not (tmp_path / "runs").exists()


def test_the_demo(lora_tui, project, fake_engine):
    (project / "held_out").mkdir()
    fake_engine(steps=4)
    answer = lora_tui("demo", project, "--headless", "--json")
    assert answer.code == 0
    assert set(answer.json) == {"project", "run", "lora", "sheet", "seconds", "steps", "distance", "leak"}
    assert answer.json["steps"] == 4
    runs = [run.job for run in (find(r["run"], project) for r in lora_tui("runs", project, "--json").json["runs"])]
    assert [(job.kind, job.arguments.get("no_reg")) for job in runs[:2]] == [("train", None), ("train", True)]
    assert runs[2].kind == "demo-proof"
    assert runs[2].arguments["lora"] == answer.json["lora"]
    shown = lora_tui("demo", project)
    assert "89%" in shown.out
    assert "Sheet" in shown.out


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (59.6, "1 min 00 s"), (200, "3 min 20 s"), (7500, "2 h 05 min"), (-3, "0 s")]
)
def test_durations(seconds, words):
    assert progress.duration(seconds) == words


def observation(*events: dict[str, object], state: str = "training") -> Observation:
    snapshot: Snapshot = fold({"seq": n, "time": float(n), **event} for n, event in enumerate(events, 1))
    return Observation(state, snapshot, LockInfo("held"), 100.0)  # type: ignore[arg-type]


@pytest.mark.parametrize("live", [False, True])
def test_what_is_shown_while_it_goes(capsys, monkeypatch, live):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: live, raising=False)
    shown = progress.reporter("Training [red]\x1b[31m")
    job = {"kind": "job", "total_steps": 10, "total_epochs": 2}
    steps = [{"kind": "step", "step": n, "epoch": 1, "loss": 0.5, "loss_avg": 0.25} for n in (1, 2)]
    warning = {"kind": "warning", "code": "x", "message": "careful [bold]\x1b[2J"}
    shown.show(observation(job, {"kind": "phase", "name": "caching [latents]", "state": "start", "total": 3}))
    shown.show(observation(job, *steps, warning))
    shown.show(observation(job, *steps, warning, state="silent"))
    shown.say("[blue]bye\x1b")
    shown.close()
    err = capsys.readouterr().err
    for words in ("Training [red]", "careful [bold]\\x1b[2J", "[blue]bye\\x1b"):
        assert words in err
    if not live:
        for words in ("caching [latents]", "epoch 1/2 · 2/10 · loss 0.2500 · 8 s left", "silent for"):
            assert words in err
        assert "\x1b" not in err


@pytest.mark.parametrize("signum", [signal.SIGHUP, signal.SIGTERM])
def test_a_closed_terminal_ends_the_follower_and_leaves_the_engine_alone(project, signum):
    """In a real terminal with its live line: closed under it, or SIGTERM sent to it."""
    code = (
        "import sys; from engine.runs import launch; from lora_tui.cli import main;"
        f"launch.ENGINE_COMMAND = {FAKE!r}; main(['train', sys.argv[1]])"
    )
    env = {**os.environ, "FAKE_ENGINE": json.dumps({"steps": 300, "step_seconds": 0.02}), "TERM": "xterm-256color"}
    child = pexpect.spawn(sys.executable, ["-c", code, str(project)], cwd=str(ROOT), env=env, encoding="utf-8")
    child.expect("lora-tui watch", timeout=30)
    child.expect("training", timeout=30)
    wait_for(lambda: running(project))
    process = psutil.Process(child.pid)
    if signum == signal.SIGHUP:
        os.close(child.child_fd)
    else:
        os.kill(child.pid, signum)
        child.expect("The run goes on", timeout=10)
        child.expect(re.escape("\x1b[?25h"), timeout=10)  # the cursor is shown again
    wait_for(lambda: process.status() == psutil.STATUS_ZOMBIE if process.is_running() else True)
    run = find("last", project)
    assert look(run).status == "held"
    os.kill(look(run).pid, signal.SIGKILL)
    wait_for(lambda: look(run).status == "free")


def test_a_follower_that_hangs_in_the_launch_leaves_too(project):
    """An engine that is slow to begin: the follower is somewhere in the launch, where nobody looks for signals."""
    with front(project, {"then": "slow-to-lock"}) as process:
        wait_for(lambda: list_runs(project) != [] and list_runs(project)[-1].log_path.exists())
        process.send_signal(signal.SIGTERM)
        process.wait(10)
    assert process.returncode in (-signal.SIGALRM, 128 + signal.SIGTERM)
    run = find("last", project)
    wait_for(lambda: observe(run).state == "finished")
