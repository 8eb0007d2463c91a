"""Downloading as a job: what it reports, that it stops and goes on, and the command that follows it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from engine.plan.errors import UserError
from engine.runs import control, launch
from engine.runs.events import read_all
from engine.runs.folder import RunFolder
from engine.runs.job import KINDS
from engine.runs.launch import environment
from engine.runs.state import observe
from lora_tui import downloads
from lora_tui.cli import main
from lora_tui.model_choice import used_lately
from tests.download.server import Reply, Request, Server

ENGINE = "import engine.download.job as job; job.SCHEMES = ('http', 'https'); from engine.__main__ import main; "


@pytest.fixture(autouse=True)
def http_for_tests(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(downloads, "SCHEMES", ("http", "https"))
    monkeypatch.setattr(launch, "ENGINE_COMMAND", (sys.executable, "-c", f"{ENGINE}raise SystemExit(main())"))


def command(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any], str]:
    with pytest.raises(SystemExit) as ended:
        main(["download", *arguments, "--json"])
    said = capsys.readouterr()
    return int(ended.value.code or 0), json.loads(said.out), said.err


def the_run(tmp_path: Path) -> RunFolder:
    (path,) = (tmp_path / "cache" / "lora-tui" / "runs").iterdir()
    return RunFolder(path)


def test_the_command_downloads_and_prints_the_path(
    server: Server, model: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HF_TOKEN", "hf_very_secret")
    server.offer("/xl.safetensors", model)
    code, answer, _ = command(capsys, server.url("/xl.safetensors?fileId=3"), "--to", str(tmp_path / "here"))
    path = tmp_path / "here" / "xl.safetensors"
    assert (code, answer["path"], answer["bytes"]) == (0, str(path), len(model))
    assert path.read_bytes() == model
    assert used_lately()[0] == path
    run = the_run(tmp_path)
    phases = [event for event in read_all(run.events_path) if event["kind"] == "phase" and event["unit"] == "bytes"]
    assert {(event["name"], event["total"]) for event in phases} == {("downloading", len(model))}
    assert (phases[0]["state"], phases[-1]["done"]) == ("start", len(model))
    for written in (run.events_path, run.log_path, run.first_job_path):
        assert b"hf_very_secret" not in written.read_bytes()


def test_a_stop_keeps_what_has_come_and_the_next_run_goes_on(server: Server, model: bytes, tmp_path: Path):
    offer = server.offer("/xl.safetensors", model)
    go_on = False

    def slowly(request: Request) -> Reply:
        if not go_on:
            offer.breaks = [1_000_000]
        return offer(request)

    server.pages["/xl.safetensors"] = slowly
    run, title = downloads.make_run(server.url("/xl.safetensors"), tmp_path)
    assert title == "xl.safetensors"
    launch.launch(run)
    wait_until(lambda: (tmp_path / "xl.safetensors.part").exists() and len(server.seen) > 1)
    control.send(run, "stop")
    wait_until(lambda: observe(run).over)
    assert observe(run).state == "stopped"
    assert "goes on from there" in json.loads(run.result_path.read_text())["message"]
    go_on = True
    run, _ = downloads.make_run(server.url("/xl.safetensors"), tmp_path)
    launch.launch(run)
    wait_until(lambda: observe(run).over)
    assert (tmp_path / "xl.safetensors").read_bytes() == model
    begun = next(event for event in read_all(run.events_path) if event["kind"] == "phase" and event["unit"] == "bytes")
    assert begun["done"] > 800_000


def test_a_killed_one_goes_on(server: Server, model: bytes, tmp_path: Path):
    offer = server.offer("/xl.safetensors", model)
    offer.breaks = [1_000_000, *[0] * 50]
    run, _ = downloads.make_run(server.url("/xl.safetensors"), tmp_path)
    pid = launch.launch(run)
    wait_until(lambda: len(server.seen) > 1)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: observe(run).over)
    offer.breaks = []
    run, _ = downloads.make_run(server.url("/xl.safetensors"), tmp_path)
    launch.launch(run)
    wait_until(lambda: observe(run).over)
    assert (tmp_path / "xl.safetensors").read_bytes() == model
    assert "Range" in server.seen[-1].headers


def wait_until(so: Any, seconds: float = 30) -> None:
    until = time.monotonic() + seconds
    while not so():
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ("http://example.org/x.safetensors", "not-https"),
        ("https://civitai.com/api/download/models/1?token=abc", "token-in-url"),
        ("https://me:secret@example.org/x", "token-in-url"),
        ("", "not-a-source"),
        ("no such thing", "not-a-source"),
        ("https://", "not-a-source"),
        ("https://[::1/x", "not-a-source"),
    ],
)
def test_what_cannot_be_downloaded_is_said_before_anything_is_written(
    what: str, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(downloads, "SCHEMES", ("https",))
    with pytest.raises(UserError) as error:
        downloads.make_run(what)
    assert error.value.code == code
    assert "abc" not in str(error.value)
    assert "secret" not in str(error.value)
    assert not (tmp_path / "cache").exists()


def test_only_a_download_may_use_the_network():
    assert "download" in KINDS
    assert environment({})["HF_HUB_OFFLINE"] == "1"
    assert "HF_HUB_OFFLINE" not in environment({}, online=True)
    assert environment({"HF_HUB_OFFLINE": "1"}, online=True)["HF_HUB_OFFLINE"] == "1"


def test_a_download_by_url_loads_neither_torch_nor_the_hub():
    code = "import sys, engine.download.job; print([m for m in ('torch', 'huggingface_hub') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
