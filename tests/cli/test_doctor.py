"""`doctor`: what stands in the way, each with what to do, and never a traceback."""

from __future__ import annotations

import errno
import fcntl
from importlib import metadata
from pathlib import Path

import pytest

from engine.runs import on_end
from lora_tui import checkup


@pytest.fixture
def quick(monkeypatch):
    """Without torch, which takes seconds."""
    monkeypatch.setattr(checkup, "_torch", lambda: [checkup.Check("torch", "ok", "2.13.0")])


def by_name(answer) -> dict[str, dict[str, str]]:
    return {check["name"]: check for check in answer.json["checks"]}


def test_the_real_torch_of_this_machine(lora_tui):
    answer = lora_tui("doctor", "--json")
    checks = by_name(answer)
    assert checks["torch"]["status"] == "ok"
    assert checks["torch"]["value"].startswith(metadata.version("torch").split("+")[0])
    assert any(name.startswith("device") for name in checks)
    assert answer.code == 0


def test_every_part_has_its_line(lora_tui, quick, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    answer = lora_tui("doctor", "--json")
    checks = by_name(answer)
    assert set(answer.json["checks"][0]) == {"name", "status", "value", "advice"}
    for name in ("Python", "torch", "textual", "pillow", "memory", "this folder", "cache", "state", "config", "queue"):
        assert checks[name]["status"] in ("ok", "warning"), name
    assert str(tmp_path) in checks["this folder"]["value"]
    assert str(on_end.config_path()) in checks["config"]["value"]
    assert {"bitsandbytes", "xformers"} <= set(checks)  # present or not: what needs them is named
    assert any(name.startswith("terminal: ") for name in checks)
    shown = lora_tui("doctor")
    assert shown.code == 0
    assert len(shown.out.splitlines()) > len(checks)
    assert "ok  Python" in shown.out


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("raise ImportError('libcudnn.so.9 is missing')", "libcudnn.so.9 is missing"),
        ("import os; os.abort()", "cannot be loaded"),
        ("import time; time.sleep(60)", "does not answer"),
        ("print('hello'); __version__ = 3", "cannot be loaded"),
    ],
)
def test_a_torch_that_does_not_work(lora_tui, tmp_path, monkeypatch, code, said):
    (tmp_path / "torch.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(checkup, "TORCH_SECONDS", 3.0)
    answer = lora_tui("doctor", "--json")
    torch = by_name(answer)["torch"]
    assert (answer.code, torch["status"]) == (1, "error")
    assert said in torch["value"]
    assert torch["advice"]


def test_a_card_that_torch_lists_and_cannot_use():
    card = {"name": "RTX 9090", "problem": "CUDA error: no kernel image", "free_bytes": 1, "total_bytes": 2}
    good = {"name": "RTX 4090", "problem": "", "free_bytes": 20 * 10**9, "total_bytes": 24 * 10**9}
    found = {"torch": "2.13.0", "cuda": "12.6", "gpus": [card, good], "mps": False, "why": ""}
    bad, well = checkup._devices(found)
    assert (bad.name, bad.status) == ("device cuda:0", "error")
    assert "no kernel image" in bad.value
    assert "build of torch" in bad.advice
    assert (well.status, well.value) == ("ok", "RTX 4090, 24 GB, 20 GB of it free")


def test_packages_that_are_missing_or_too_old(lora_tui, quick, monkeypatch):
    real = metadata.version

    def version(name: str) -> str:
        if name == "peft":
            raise metadata.PackageNotFoundError(name)
        return "0.1.0" if name == "diffusers" else real(name)

    monkeypatch.setattr(metadata, "version", version)
    answer = lora_tui("doctor", "--json")
    checks = by_name(answer)
    assert answer.code == 1
    assert (checks["peft"]["status"], checks["diffusers"]["status"]) == ("error", "error")
    assert checks["peft"]["advice"].startswith("pip install 'peft>=")
    assert "is needed" in checks["diffusers"]["value"]


def test_a_disk_without_room_or_locks(lora_tui, quick, monkeypatch):
    monkeypatch.setattr(checkup.shutil, "disk_usage", lambda path: checkup.shutil._ntuple_diskusage(9, 9, 1000))
    assert by_name(lora_tui("doctor", "--json"))["this folder"]["status"] == "warning"

    def refuse(*arguments: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "lockf", refuse)
    assert "No locks available" in by_name(lora_tui("doctor", "--json"))["this folder"]["value"]


def test_a_damaged_config_stops_trainings(lora_tui, quick):
    on_end.config_path().parent.mkdir(parents=True)
    on_end.config_path().write_text("on_end = \x1b[2J")
    answer = lora_tui("doctor")
    assert answer.code == 1
    assert "x   config" in answer.out
    assert "\x1b" not in answer.out


def test_a_check_that_breaks_does_not_hide_the_others(lora_tui, quick, monkeypatch):
    def broken() -> list[checkup.Check]:
        raise RuntimeError("who would have thought")

    monkeypatch.setattr(checkup, "_memory", broken)
    checks = by_name(lora_tui("doctor", "--json"))
    assert (checks["memory"]["status"], "thought" in checks["memory"]["value"]) == ("warning", True)
    assert "queue" in checks


def test_a_current_folder_that_is_gone(lora_tui, quick, tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    answer = lora_tui("doctor", "--json")
    assert "could not be checked" in by_name(answer)["disk"]["value"]


def test_nothing_heavy_is_imported_to_ask():
    import subprocess
    import sys

    code = "import sys, lora_tui.checkup; print([m for m in ('torch', 'numpy', 'textual') if m in sys.modules])"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout == "[]\n"
