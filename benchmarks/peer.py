"""The diffusers example script for SDXL LoRA beside ours: the same pictures, captions, steps and size, real commands.

    python -m benchmarks --peer PATH/train_text_to_image_lora_sdxl.py

The script needs torchvision and datasets, which ours does not; where they are missing, one sentence says so. UNTESTED
beyond that: it was written after the script's documented arguments, on a machine without them.

What the two do in a step is not the same in all: the script trains attention layers only, reads and encodes pictures
and prompts in every step, and has AdamW, so ours is run with AdamW as well. Each is run twice, with few and with more
steps; the difference is what the steps take, without starting and loading.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from PIL import Image

from benchmarks.small_run import answer, environment, wait_for_end
from engine.runs.folder import RunFolder

NEEDS = ("torchvision", "datasets", "tensorboard")
FEW, MORE = 1, 5  # epochs
BATCH, RANK, RATE, SIDE, SEED = 2, 8, 1e-4, 96, 42


class PeerCannotRunError(Exception):
    """One sentence that says why."""


@dataclass(frozen=True)
class Beside:
    """Seconds a step."""

    ours: float
    peer: float


def refuse(script: Path) -> None:
    """Raises PeerCannotRunError where the script is not there or lacks a package."""
    if not script.is_file():
        raise PeerCannotRunError(f"There is no script {script}; it is in diffusers' examples/text_to_image.")
    if missing := [name for name in NEEDS if importlib.util.find_spec(name) is None]:
        raise PeerCannotRunError(f"{script.name} cannot run here: it needs {' and '.join(missing)} (pip install them).")


def measure(script: Path) -> Beside:
    """Both, one after the other, in a folder of its own. Raises PeerCannotRunError."""
    refuse(script)
    with tempfile.TemporaryDirectory() as folder:
        pictures = _pictures(Path(folder) / "pictures")
        model = _model(Path(folder) / "model")
        each = -(-len(list(pictures.glob("*.png"))) // BATCH)

        def peer(epochs: int) -> float:
            return _run_peer(script, model, pictures, Path(folder) / f"peer {epochs}", epochs * each)

        def ours(epochs: int) -> float:
            return _run_ours(model, pictures, Path(folder) / f"ours {epochs}", epochs)

        seconds = [(run(MORE) - run(FEW)) / ((MORE - FEW) * each) for run in (ours, peer)]
    return Beside(*seconds)


def _pictures(folder: Path) -> Path:
    """The demo's pictures, all of one size, with captions in both programs' ways."""
    folder.mkdir()
    lines = []
    source = Path(str(files("engine"))) / "demo" / "project" / "img"
    for path in sorted(source.glob("*/*.png")):
        with Image.open(path) as image:
            image.convert("RGB").resize((SIDE, SIDE)).save(folder / path.name)
        caption = path.with_suffix(".txt").read_text(encoding="utf-8").strip()
        (folder / f"{path.stem}.txt").write_text(caption, encoding="utf-8")
        lines.append(json.dumps({"file_name": path.name, "text": caption}))
    (folder / "metadata.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def _model(folder: Path) -> Path:
    """The built-in model as a diffusers folder with the second tokenizer that pipelines expect."""
    shutil.copytree(Path(str(files("engine"))) / "demo" / "micro", folder)
    if not (folder / "tokenizer_2").exists():
        shutil.copytree(folder / "tokenizer", folder / "tokenizer_2")
    return folder


def _run_peer(script: Path, model: Path, pictures: Path, output: Path, steps: int) -> float:
    arguments = {
        "pretrained_model_name_or_path": model,
        "train_data_dir": pictures,
        "caption_column": "text",
        "resolution": SIDE,
        "train_batch_size": BATCH,
        "max_train_steps": steps,
        "checkpointing_steps": steps * 10,
        "learning_rate": RATE,
        "lr_scheduler": "constant",
        "lr_warmup_steps": 0,
        "rank": RANK,
        "seed": SEED,
        "snr_gamma": 5.0,
        "noise_offset": 0.1,
        "mixed_precision": "no",
        "output_dir": output,
    }
    command = [sys.executable, str(script), *(f"--{name}={value}" for name, value in arguments.items())]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "ACCELERATE_USE_CPU": "true"}
    began = time.perf_counter()
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise PeerCannotRunError(f"{script.name} failed: {last[:300]}")
    return time.perf_counter() - began


def _run_ours(model: Path, pictures: Path, project: Path, epochs: int) -> float:
    env = environment(project.parent)
    answer("new", project, "--trigger", "zibo", "--class", "man", "--repeats", 1, "--images", pictures, env=env)
    settings = {
        "pretrained_model_name_or_path": str(model),
        "resolution": f"{SIDE},{SIDE}",
        "bucket_reso_steps": 16,
        "max_train_epochs": epochs,
        "train_batch_size": BATCH,
        "network_dim": RANK,
        "network_alpha": RANK,
        "optimizer_type": "AdamW",
        "optimizer_args": [],
        "learning_rate": RATE,
        "mixed_precision": "no",
        "gradient_checkpointing": False,
        "caption_dropout_rate": 0.0,
        "scale_weight_norms": 0.0,
        "sample_every_n_steps": 0,
        "seed": SEED,
    }
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    with (project / "project.toml").open("a", encoding="utf-8") as file:
        file.write("\n[settings]\n" + "\n".join(lines) + "\n")
    began = time.perf_counter()
    run = RunFolder(Path(answer("train", project, "--detach", env=env)["run"]))
    state = wait_for_end(run)
    if state != "finished":
        raise PeerCannotRunError(f"our own run ended as {state}: {run.path}")
    return time.perf_counter() - began
