"""Over a real OpenSSH server: connections are lost in every way there is, and no training notices."""

from __future__ import annotations

import shlex
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from benchmarks import small_run, ssh
from benchmarks.terminal import Terminal

pytestmark = pytest.mark.proof


def test_the_line_that_is_shown_fetches_the_lora(tmp_path: Path) -> None:
    if why := ssh.install():
        pytest.skip(why)
    project = small_run.make_project(tmp_path / "it's my $(first) project")
    lora = project / "model" / "zibo.safetensors"
    lora.parent.mkdir(exist_ok=True)
    save_file({"lora_unet_x.lora_down.weight": np.ones((4, 8), np.float16)}, lora)
    home = tmp_path / "at home"
    home.mkdir()
    copied = project / ".lora-tui" / "clipboard.txt"
    with ssh.serving(tmp_path / "server") as server:
        terminal = Terminal(server.ssh(project, terminal=True), small_run.environment(tmp_path), tmp_path, 30, 100)
        try:
            terminal.wait_for("1 of 9")
            terminal.type("9")
            terminal.wait_for("Fetch it to your computer")
            for _ in range(20):
                terminal.type("\x1b[B")
                time.sleep(0.05)
            terminal.wait_for("Type this on your own computer")
            terminal.type("\r")
            small_run.wait_for(copied.is_file, "the copied command", 20.0)
        finally:
            terminal.end()
        program, *rest = shlex.split(copied.read_text(encoding="utf-8"))
        assert program == "scp"
        subprocess.run([program, *server.client_options(), *rest], cwd=home, check=True, timeout=60)
    assert (home / "zibo.safetensors").read_bytes() == lora.read_bytes()


def test_a_training_outlives_its_connection(tmp_path: Path) -> None:
    if why := ssh.install():
        pytest.skip(why)
    outcomes = ssh.campaign(tmp_path / "lost")
    assert len(outcomes) == len(ssh.LOSSES) + 1
    assert {outcome.how: outcome.wrong for outcome in outcomes if outcome.wrong} == {}
    assert max(outcome.gone_seconds for outcome in outcomes) < 20.0
    assert all(outcome.steps_after for outcome in outcomes)
