"""The engine is killed while it encodes pictures: what it has done stays done, and the training is the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from torch import Tensor

from engine.data.cache import Latents, Pixels
from tests.training import Trainer, picture, same

PICTURES, KILLED_AT = 7, 4

# The real engine, but for the moment of its death: in the middle of writing an entry, before it has its name.
KILLED = """
import os, signal, sys
import engine.plan.files as files
replace, written = os.replace, 0
def killed(source, target):
    global written
    written += "latents" in str(target)
    if written == %d:
        os.kill(os.getpid(), signal.SIGKILL)
    replace(source, target)
files.os.replace = killed
from engine.__main__ import main
sys.exit(main())
"""


def project_of(trainer: Trainer, name: str) -> Path:
    """A project with a cache of its own."""
    root = trainer.root / name
    for number in range(PICTURES):
        file = picture(root / "img" / "1_ohwx man" / f"{number}.png", number)
        file.with_suffix(".txt").write_text("ohwx, a photo of a man", encoding="utf-8")
    return root


def test_a_killed_caching_goes_on_where_it_stopped_and_the_training_is_the_same(
    trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[str] = []
    original = Latents._encode

    def counted(self: Latents, read: Pixels) -> dict[str, Tensor]:
        encoded.append(read.path.name)
        return original(self, read)

    monkeypatch.setattr(Latents, "_encode", counted)
    undisturbed = trainer(project_of(trainer, "undisturbed"))
    assert encoded == [f"{number}.png" for number in range(PICTURES)]
    encoded.clear()

    project = project_of(trainer, "killed")
    run = trainer.prepare(project)
    done = subprocess.run(
        [sys.executable, "-c", KILLED % KILLED_AT, str(run.path)], capture_output=True, check=False, timeout=300
    )
    assert done.returncode == -9, done.stderr.decode()
    entries = project / "cache" / "latents"
    assert len(list(entries.glob("*.safetensors"))) == KILLED_AT - 1

    again = trainer(project)
    assert again.end["status"] == "finished", again.end
    assert encoded == [f"{number}.png" for number in range(KILLED_AT - 1, PICTURES)]
    assert same(again.lora, undisturbed.lora)
    assert again.losses == undisturbed.losses
    encoded.clear()
    assert trainer(project).losses == undisturbed.losses
    assert encoded == []
