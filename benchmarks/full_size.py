"""Full-size SDXL on the CPU, from the real command line: does it load, train, save and draw, in how much memory?

    python -m benchmarks.full_size [--dir FOLDER] [--steps 4] [--without-reference]

A random-weight checkpoint (`full_size_model`), three pictures of 256x256, the guide's settings otherwise. Then the same
steps by the plain loop of diffusers and peft (`full_size_reference`), one after the other, because both at once would
need twice the memory. Prints a table, writes build/full-size.json. Linux only, 14 GB of free memory and 30 GB of disk
(two checkpoints of 4.6 GB beside the model); minutes to an hour on two cores. Not a test.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from safetensors import safe_open

from benchmarks.full_size_model import default_folder, full_size_model
from benchmarks.memory_watch import MemoryWatch
from benchmarks.small_run import answer, wait_for
from engine.runs.events import read_all
from engine.runs.folder import RunFolder
from engine.runs.lock import look
from engine.runs.state import observe

LIMIT = 14e9
MODULES = 722
SIDE = 256
PICTURES = 3
BATCH = 2  # the guide's
HOURS = 3 * 3600.0
GB = 1e9


@dataclass
class Phase:
    """One part of the run: seconds, and the most private memory in it, in bytes."""

    name: str
    seconds: float
    peak_bytes: int


def make_pictures(folder: Path) -> Path:
    """Soft random pictures with captions, always the same."""
    folder.mkdir(parents=True, exist_ok=True)
    chance = random.Random(0)
    for number in range(PICTURES):
        coarse = Image.frombytes("RGB", (4, 4), chance.randbytes(48))
        coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(folder / f"{number:02}.png")
        (folder / f"{number:02}.txt").write_text(f"ohwx, a photo of a man, number {number}", encoding="utf-8")
    return folder


def settings(model: Path, steps: int) -> dict[str, object]:
    """What differs from the guide's: the model, the size of pictures, the length and the sample."""
    return {
        "pretrained_model_name_or_path": str(model),
        "resolution": f"{SIDE},{SIDE}",
        "max_train_epochs": 1,
        "sample_every_n_steps": steps,
        "sample_prompts": [f"ohwx, a photo of a man --w {SIDE} --h {SIDE} --s 4 --d 42"],
        "caption_dropout_rate": 0.0,  # the plain loop has none
    }


def make_project(folder: Path, model: Path, steps: int, env: dict[str, str]) -> Path:
    """A project of exactly `steps` steps, through `lora-tui new`."""
    project = folder / "project"
    shutil.rmtree(project, ignore_errors=True)
    pictures = make_pictures(folder / "pictures")
    repeats = -(-steps * BATCH // PICTURES)
    answer("new", project, "--trigger", "ohwx", "--class", "man", "--repeats", repeats, "--images", pictures, env=env)
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings(model, steps).items()]
    text = (project / "project.toml").read_text(encoding="utf-8")
    head, found, rest = text.partition("[settings]\n")
    if not found:
        head, rest = f"{text}\n", ""
    (project / "project.toml").write_text(f"{head}[settings]\n" + "\n".join(lines) + f"\n{rest}", encoding="utf-8")
    return project


def train(project: Path, env: dict[str, str]) -> tuple[RunFolder, MemoryWatch]:
    """`lora-tui train --device cpu` to its end, while its engine's memory is watched."""
    run = RunFolder(Path(answer("train", project, "--device", "cpu", "--detach", env=env)["run"]))
    wait_for(lambda: look(run).status == "held", "the engine")
    with MemoryWatch(look(run).pid) as watch:
        wait_for(lambda: observe(run).over and look(run).status != "held", "the end of the run", HOURS)
    return run, watch


def phases(run: RunFolder, watch: MemoryWatch) -> list[Phase]:
    """Each phase of the run in its order; those inside the training (samples) as well."""
    begun: dict[str, float] = {}
    found = []
    for event in read_all(run.events_path):
        if event["kind"] != "phase":
            continue
        if event["state"] == "start":
            begun[event["name"]] = event["time"]
        elif event["state"] == "end":
            start = begun[event["name"]]
            found.append(Phase(event["name"], event["time"] - start, watch.peak(start, event["time"])))
    return found


def check_lora(run: RunFolder, env: dict[str, str]) -> dict[str, Any]:
    """What `lora-tui inspect` says of the LoRA, and that its numbers are finite. Raises RuntimeError otherwise."""
    path = next(iter(sorted(run.output_dir.glob("*.safetensors"))))
    told = answer("inspect", path, env=env)
    with safe_open(path, framework="pt") as file:
        names = list(file.keys())
        finite = all(bool(file.get_tensor(name).isfinite().all()) for name in names)
        learnt = sum(bool(file.get_tensor(name).any()) for name in names if name.endswith("lora_up.weight"))
    if told["modules"].get("unet") != MODULES or len(names) != 3 * MODULES or not finite or learnt != MODULES:
        raise RuntimeError(f"{path}: {told['modules']}, {len(names)} tensors, finite: {finite}, changed: {learnt}")
    return {"bytes": path.stat().st_size, "modules": told["modules"], "rank": told["rank"], "alpha": told["alpha"]}


def ours(project: Path, env: dict[str, str]) -> dict[str, Any]:
    """The run's figures. Raises RuntimeError where something did not come of it that should."""
    run, watch = train(project, env)
    events = list(read_all(run.events_path))
    ended = observe(run).state
    warnings = [event["message"] for event in events if event["kind"] == "warning"]
    if ended != "finished" or any(event.get("code") in ("lora-differs", "sample-failed") for event in events):
        raise RuntimeError(f"{run.path}: {ended}; {warnings}; {[e for e in events if e['kind'] == 'end']}")
    steps = [event for event in events if event["kind"] == "step"]
    begin, end = steps[0]["time"] - steps[0]["seconds"], steps[-1]["time"]
    checkpoint = next(event for event in events if event["kind"] == "checkpoint")
    return {
        "phases": [vars(phase) for phase in phases(run, watch)],
        "step_seconds": [step["seconds"] for step in steps],
        "losses": [step["loss"] for step in steps],
        "checkpoint": {"seconds": checkpoint["seconds"], "bytes": checkpoint["bytes"]},
        "peak_bytes": watch.peak(),
        "peak_bytes_of_steps": watch.peak(begin, end),
        "lora": check_lora(run, env),
        "samples": [str(path) for path in sorted(run.samples_dir.glob("*.png"))],
    }


def reference(project: Path, env: dict[str, str]) -> dict[str, Any]:
    """The plain loop's figures for the same steps, from a process of its own."""
    log = project.parent / "reference.log"
    with log.open("w", encoding="utf-8") as written:
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.full_size_reference", str(project)],
            stdout=subprocess.PIPE,
            stderr=written,
            text=True,
            env=env,
        )
        with MemoryWatch(process.pid) as watch:
            said, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"the plain loop failed: {log.read_text(encoding='utf-8')[-2000:]}")
    told: dict[str, Any] = json.loads(said.splitlines()[-1])
    return {**told, "peak_bytes": watch.peak(), "peak_bytes_of_steps": watch.peak(told["begin"], told["end"])}


def table(told: dict[str, Any]) -> list[tuple[str, str, str]]:
    """(what, ours, the plain loop's)"""
    a, b = told["ours"], told.get("reference")

    def seconds(values: list[float]) -> str:
        return " · ".join(f"{value:.1f}" for value in values)

    def other(text: str) -> str:
        return text if b else "not run"

    rows = [
        (
            "private memory, peak of all (GB)",
            f"{a['peak_bytes'] / GB:.2f}",
            other(f"{b['peak_bytes'] / GB:.2f}" if b else ""),
        ),
        (
            "private memory, peak of the steps (GB)",
            f"{a['peak_bytes_of_steps'] / GB:.2f}",
            other(f"{b['peak_bytes_of_steps'] / GB:.2f}" if b else ""),
        ),
        ("seconds of each step", seconds(a["step_seconds"]), other(seconds(b["step_seconds"]) if b else "")),
        (
            "  median after the first",
            f"{statistics.median(a['step_seconds'][1:]):.1f}",
            other(f"{statistics.median(b['step_seconds'][1:]):.1f}" if b else ""),
        ),
        (
            "loss of each step",
            " · ".join(f"{loss:.4f}" for loss in a["losses"]),
            other(" · ".join(f"{loss:.4f}" for loss in b["losses"]) if b else ""),
        ),
    ]
    for name, value in (b or {}).get("parts", {}).items():
        rows.append((f"  plain loop, {name}, s a step", "", f"{value:.1f}"))
    for phase in a["phases"]:
        rows.append(
            (f"phase: {phase['name']}, s (peak GB)", f"{phase['seconds']:.1f} ({phase['peak_bytes'] / GB:.2f})", "")
        )
    c, lora = a["checkpoint"], a["lora"]
    rows.append(("checkpoint, s (GB on disk)", f"{c['seconds']:.1f} ({c['bytes'] / GB:.2f})", ""))
    rows.append(("LoRA, modules (bytes)", f"{lora['modules']['unet']} ({lora['bytes']:,})", ""))
    rows.append(("sample pictures", str(len(a["samples"])), ""))
    return rows


def machine() -> dict[str, Any]:
    import torch

    about = Path("/proc/cpuinfo").read_text()
    cpu = next((line.split(":")[1].strip() for line in about.splitlines() if "model name" in line), "")
    return {
        "date": datetime.date.today().isoformat(),
        "cpu": cpu,
        "cores": os.cpu_count(),
        "bf16_in_cpu": "avx512_bf16" in about,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "load_average": os.getloadavg(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--dir", type=Path, default=default_folder(), help="where the model lies and the project is made"
    )
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--without-reference", action="store_true")
    parser.add_argument("--json", type=Path, default=Path("build/full-size.json"))
    args = parser.parse_args()
    folder = args.dir.resolve()
    home = folder / "home"
    home.mkdir(parents=True, exist_ok=True)
    env = {**os.environ, "HOME": str(home), "HF_HUB_OFFLINE": "1"}
    told: dict[str, Any] = {"machine": machine(), "steps": args.steps}
    project = make_project(folder, full_size_model(folder), args.steps, env)
    told["ours"] = ours(project, env)
    told["load_average_after_ours"] = os.getloadavg()
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps(told, indent=1), encoding="utf-8")
    if not args.without_reference:
        told["reference"] = reference(project, env)
        told["load_average_after_reference"] = os.getloadavg()
        args.json.write_text(json.dumps(told, indent=1), encoding="utf-8")
    for what, own, plain in table(told):
        print(f"{what:<48} {own:>34} {plain:>34}")
    print(f"\nwritten to {args.json}")
    if told["ours"]["peak_bytes"] > LIMIT:
        raise SystemExit(f"more than {LIMIT / GB:.0f} GB of private memory")


if __name__ == "__main__":
    main()
