"""The demo as a user runs it, `lora-tui demo DIR --headless --json`: its LoRA works, and a broken one does not.

This is the proof behind the project's first promise, so it is the whole thing: real processes, the shipped model, the
demo's own settings. It takes minutes; that a LoRA which does nothing fails by the same measure is for `make proof`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from engine.lora import weights
from engine.plan.project import Project
from engine.runs import folder
from engine.runs.job import Job

COMMAND = [sys.executable, "-P", "-c", "from lora_tui.cli import main; main()"]


def lora_tui(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, env=environment, check=False)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    target = tmp_path_factory.mktemp("home") / "demo"
    done = lora_tui("demo", str(target), "--headless", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_character_is_there_with_the_lora_and_not_without(demo: dict[str, Any]) -> None:
    distance = demo["distance"]
    assert distance["with"] < distance["without"]
    assert distance["gap_closed"] >= 0.75  # measured: docs/demo-model.md; a broken training stays under 0.1


def test_with_regularisation_pictures_a_plain_man_stays_a_man(demo: dict[str, Any]) -> None:
    leak = demo["leak"]
    assert leak["without_reg"] > 0.4
    assert leak["with_reg"] < leak["without_reg"] / 2


def test_what_the_demo_names_is_there(demo: dict[str, Any]) -> None:
    sheet = Image.open(demo["sheet"])
    assert sheet.format == "PNG"
    assert min(sheet.size) > 400
    project = Path(demo["project"])
    assert Path(demo["lora"]) == project / "model" / "zibo.safetensors"
    file = weights.read(Path(demo["lora"]))
    assert len(file.stems) == 124
    assert file.metadata["ss_base_model_version"].startswith("sdxl_")
    samples = sorted(Path(demo["run"]).glob("samples/*.png"))
    assert samples
    assert Image.open(samples[0]).size == (96, 96)


def test_inspect_finds_no_problem_with_the_lora(demo: dict[str, Any]) -> None:
    done = lora_tui("inspect", demo["lora"], "--json")
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["problems"] == []
    assert facts["modules"] == {"unet": 124, "te1": 0, "te2": 0}


def test_runs_lists_both_trainings_as_finished(demo: dict[str, Any]) -> None:
    runs = json.loads(lora_tui("runs", demo["project"], "--json").stdout)["runs"]
    trained = [run for run in runs if run["job"] == "train"]
    assert [run["state"] for run in trained] == ["finished", "finished"]
    assert trained[0]["step"] == trained[0]["total_steps"]


def gap_closed_by(lora: Path, project: Path, weight: float = 1.0) -> float:
    """The proof for another LoRA of the demo project."""
    opened = Project.open(project)
    job = Job(
        "demo-proof",
        project,
        "proof",
        "zibo",
        "man",
        opened.resolved(),
        arguments={"lora": str(lora), "weight": weight},
    )
    run = folder.create(opened.runs_dir, job)
    subprocess.run([sys.executable, "-m", "engine", str(run.path)], check=True, cwd=Path(__file__).parents[2])
    return float(json.loads(run.result_path.read_text())["distance"]["gap_closed"])


@pytest.mark.proof
def test_a_lora_that_is_not_applied_closes_no_gap(demo: dict[str, Any]) -> None:
    assert abs(gap_closed_by(Path(demo["lora"]), Path(demo["project"]), weight=0.0)) < 0.1


@pytest.mark.proof
def test_a_training_that_does_not_learn_closes_no_gap(demo: dict[str, Any]) -> None:
    project = Path(demo["project"])
    settings = ["optimizer_type=AdamW", "learning_rate=0", "max_train_epochs=1", "output_name=nothing"]
    sets = [part for s in settings for part in ("--set", s)]
    done = lora_tui("train", str(project), "--json", "--accept-warnings", "--set", "train_batch_size=24", *sets)
    assert done.returncode == 0, done.stderr
    lora = Path(json.loads(done.stdout)["lora"][-1])
    assert abs(gap_closed_by(lora, project)) < 0.1
