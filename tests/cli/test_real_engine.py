"""The commands and the real engine, on the practice model: once each, from end to end."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.runs import queue
from engine.runs.folder import find, list_runs
from engine.runs.lock import look
from engine.runs.state import observe
from lora_tui.commands.queue import _observe


def wait_for(condition: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


@pytest.fixture
def practice(project: Path) -> Path:
    """The project on the practice model that is shipped: 8 steps in an epoch."""
    file = project / "project.toml"
    lines = [line for line in file.read_text().splitlines() if not line.startswith("pretrained_model")]
    file.write_text("\n".join([*lines, 'pretrained_model_name_or_path = "micro"', "sample_every_n_steps = 0", ""]))
    return project


def test_a_training_is_commanded_stopped_and_made_longer(lora_tui, practice):
    on_project = ("--project", practice)
    assert lora_tui("train", practice, "--detach", "--set", "max_train_epochs=500").code == 0
    run = find("last", practice)
    wait_for(lambda: observe(run).snapshot.step >= 3)
    assert lora_tui("pause", *on_project, "--release-memory", "--json").json["result"] == "done"
    assert observe(run).state == "paused"
    assert lora_tui("sample", *on_project, "--prompt", "zibo", "--seed", "3", "--json").json["result"] == "done"
    assert (observe(run).snapshot.samples[-1].prompt, observe(run).snapshot.samples[-1].seed) == ("zibo", 3)
    assert lora_tui("checkpoint", *on_project, "--json").json["result"] == "done"
    assert lora_tui("resume", *on_project, "--json").json["result"] == "done"
    assert lora_tui("stop", *on_project, "--json").json["result"] == "done"
    assert look(run).status == "free"
    assert observe(run).state == "stopped"
    step = observe(run).snapshot.step
    epochs = step // 8 + 1
    longer = lora_tui("train", practice, "--resume", "--set", f"max_train_epochs={epochs}", "--json")
    assert (longer.code, longer.json["run"], longer.json["step"]) == (0, str(run.path), epochs * 8)
    assert f"Going on from step {step}" in longer.err
    assert list(observe(run).snapshot.steps) == list(range(1, epochs * 8 + 1))
    assert lora_tui("train", practice, "--resume", "--json").json["error"]["code"] == "nothing-left"
    removed = lora_tui("runs", "remove", "last", *on_project, "--yes", "--json").json
    assert removed["bytes"] > 0
    assert list_runs(practice) == []
    assert Path(longer.json["lora"][-1]).parent == practice / "model"
    assert Path(longer.json["lora"][-1]).is_file()


@pytest.mark.proof  # `test_queue` does it with an engine that trains nothing
def test_a_queue_of_two(lora_tui, practice, tmp_path):
    told = tmp_path / "told"
    lora_tui("queue", "add", practice, "--set", "max_train_epochs=1")
    lora_tui("queue", "add", practice, "--set", "max_train_epochs=1", "--set", "network_dim=8")
    assert lora_tui("queue", "start", "--on-end", f"echo $LORA_TUI_STATE $LORA_TUI_MESSAGE > {told}").code == 0
    wait_for(lambda: told.exists() and told.read_text() != "")
    assert [_observe(entry)[0] for entry in queue.entries()] == ["finished", "finished"]
    assert told.read_text() == "finished 2 runs in the queue: 2 finished.\n"
    assert sorted(path.name for path in (practice / "model").iterdir()) == ["zibo-2.safetensors", "zibo.safetensors"]
