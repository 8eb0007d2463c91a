"""`lora-tui --plain` on real streams: from an empty folder to an exported LoRA, by answers a line each."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from benchmarks import small_run
from benchmarks.terminal import Terminal
from engine.plan.project import Project
from engine.plan.safetensors_header import read_header
from engine.runs.folder import list_runs
from engine.runs.state import observe
from tests.terminal.conftest import Opened

UNPRINTABLE = re.compile(rb"[\x00-\x09\x0b-\x1f\x7f-\xff]")


@pytest.mark.proof  # the same words are tried in tests/prompts
def test_from_nothing_to_an_exported_lora_through_a_pipe(
    own_home: tuple[Path, dict[str, str]], my_pictures: Path, tmp_path: Path
) -> None:
    home, own = own_home
    target = tmp_path / "Lora"
    answers = [
        *("new", "ohwx", "man", "", f"'{my_pictures}'", "", "4", ""),
        *("n", "n", "n", "m", "ohwx, face", "n"),
        *("path micro", "n", "/ epochs", "4", "1", "n", "try", "start", "n"),
        *("compare", "", "7", "0.8", "export", "mine", str(target), "", "yes", "q"),
    ]
    done = subprocess.run(
        small_run.command("--plain"), input="\n".join(answers) + "\n", env=own, cwd=home, capture_output=True,
        timeout=300, check=False, encoding="utf-8",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert not UNPRINTABLE.search(done.stdout.encode())  # no escape, no carriage return, nothing beyond ASCII
    assert "finished at step 5 of 5" in done.stdout
    assert "finished at step 12 of 12" in done.stdout
    assert "Without and with, side by side: " in done.stdout
    assert "<lora:mine:1>" in done.stdout
    project = Project.open(home / "ohwx")
    assert (project.trigger, project.class_name, project.preset) == ("ohwx", "man", "demo")
    assert read_header(target / "mine.safetensors")[1]["ss_output_name"] == "ohwx"
    assert (home / "ohwx" / "img" / "4_ohwx man" / "00.txt").read_text() == "ohwx, face\n"


def test_ctrl_c_ends_the_listening_and_not_the_training(project: Path, open_terminal: Opened) -> None:
    terminal: Terminal = open_terminal("--plain", project)
    terminal.wait_for("Step 1 of 9")
    terminal.type("g 7\r")
    terminal.wait_for("Review>")
    terminal.type("start\r")
    terminal.wait_for("loss")
    terminal.type("\x03")
    terminal.wait_for("You hear no more of it.")
    (run,) = list_runs(project)
    assert not observe(run).over
    terminal.wait_for("Training>")
    terminal.type("\x03")
    terminal.wait(20.0)
    assert terminal.exit_code == 130
    assert not terminal.alternate_screen
    small_run.wait_for_step(run, observe(run).snapshot.step + 3)
    assert observe(run).state not in ("failed", "died", "stopped")


def test_it_goes_with_its_terminal(project: Path, open_terminal: Opened) -> None:
    terminal = open_terminal("--plain", project)
    terminal.wait_for("Project>")
    terminal.close()
    terminal.wait(5.0)
