"""A training that takes seconds, through the real commands, and what a disturbed one must have in common with another.

Nothing here loads torch: whoever disturbs engines should not be one.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from engine.runs.events import read_all
from engine.runs.fold import FIRST_PHASE
from engine.runs.folder import RunFolder, list_runs
from engine.runs.lock import look
from engine.runs.state import observe

SETTINGS: dict[str, object] = {
    "pretrained_model_name_or_path": "micro",
    "resolution": "96,96",
    "bucket_reso_steps": 16,
    "min_bucket_reso": 80,
    "max_bucket_reso": 112,
    "train_batch_size": 2,
    "max_train_epochs": 4,
    "save_every_n_epochs": 1,
    "network_dim": 4,
    "network_alpha": 2.0,
    "mixed_precision": "no",
    "save_precision": "float",
    "gradient_checkpointing": False,
    "sample_every_n_steps": 0,
    "noise_offset": 0.1,
    "caption_dropout_rate": 0.1,
    # ck
    "seed": 7,
}
"""Everything that draws random numbers is on; the optimizer is Prodigy, whose state is the largest."""

ADAMW: dict[str, object] = {"optimizer_type": "AdamW", "optimizer_args": [], "learning_rate": 1e-3}
KINDS: dict[str, dict[str, object]] = {
    "text-encoders": {"train_text_encoder_1": True, "train_text_encoder_2": True},
    "adafactor": {
        "optimizer_type": "Adafactor",
        "optimizer_args": ["scale_parameter=False", "relative_step=False", "warmup_init=False"],
        "learning_rate": 1e-3,
    },
    "locon": {"conv_dim": 3, "network_dropout": 0.2, "rank_dropout": 0.2, "module_dropout": 0.1},
    "ema": {"use_ema": True, "ema_decay": 0.9},
    "accumulation": ADAMW | {"gradient_accumulation_steps": 2, "lr_scheduler": "cosine", "lr_warmup_steps": 2.0},
    "v-prediction": {"v_parameterization": "true", "zero_terminal_snr": "true", "multires_noise_iterations": 3},
    "captions": {"cache_text_encoder_outputs": False, "shuffle_caption": True, "caption_tag_dropout_rate": 0.3},
}
"""Ways to train, as different as can be, which a killed training has to go on with to the bit."""

SIZES = ((96, 96), (112, 80), (96, 96), (80, 112))
NOT_THE_SAME = ("v", "seq", "time", "seconds", "images_per_second")
"""Fields of a step that depend on the clock, or on how many events came before."""
TEMPORARY = (".tmp", ".partial")


def make_project(folder: Path, pictures: int = 6, repeats: int = 2, **settings: object) -> Path:
    """A project of random mosaics in three shapes, the same for the same arguments."""
    chance = random.Random(0)
    images = folder / "img" / f"{repeats}_ohwx man"
    images.mkdir(parents=True)
    for number in range(pictures):
        coarse = Image.frombytes("RGB", (4, 4), chance.randbytes(48))
        coarse.resize(SIZES[number % len(SIZES)], Image.Resampling.NEAREST).save(images / f"{number:02}.png")
        (images / f"{number:02}.txt").write_text(f"ohwx, a photo of a man, number {number}", encoding="utf-8")
    lines = [f"{name} = {json.dumps(value)}" for name, value in (SETTINGS | settings).items()]
    head = '[project]\nname = "ohwx"\ntrigger = "ohwx"\nclass = "man"\n\n[settings]\n'
    (folder / "project.toml").write_text(head + "\n".join(lines) + "\n", encoding="utf-8")
    return folder


def copy_project(project: Path, folder: Path, cached: bool = True) -> Path:
    """The same project anew, without its runs and LoRAs; `cached`: with what it has encoded."""
    left_out = ("runs", "model", *(() if cached else ("cache",)))
    shutil.copytree(project, folder, ignore=lambda at, names: left_out if Path(at) == project else ())
    return folder


# ---------------------------------------------------------------------------------------------------- the real commands
def command(*arguments: object) -> list[str]:
    """`lora-tui ARGUMENTS` as it is installed beside this Python."""
    return [str(Path(sys.executable).with_name("lora-tui")), *map(str, arguments)]


def environment(home: Path, **variables: str) -> dict[str, str]:
    """One thread, a home of its own, and a terminal of a usual kind."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "TMUX", "SSH_"))}
    own = {"HOME": str(home), "OMP_NUM_THREADS": "1", "TERM": "xterm-256color", "LANG": "C.UTF-8"}
    return kept | own | variables


def lora_tui(*arguments: object, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, without a terminal."""
    return subprocess.run(
        command(*arguments), env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )


def answer(*arguments: object, env: Mapping[str, str]) -> dict[str, Any]:
    """The JSON that a command prints. Raises RuntimeError with what it said when it fails."""
    done = lora_tui(*arguments, "--json", env=env)
    if done.returncode:
        raise RuntimeError(f"lora-tui {' '.join(map(str, arguments))}: {done.stdout}{done.stderr}")
    value: dict[str, Any] = json.loads(done.stdout)
    return value


def start(project: Path, *arguments: object, env: Mapping[str, str]) -> RunFolder:
    """`train --detach`, and the run that it has begun or gone on with."""
    return RunFolder(Path(answer("train", project, "--detach", *arguments, env=env)["run"]))


def wait_for(condition: Callable[[], object], what: str, seconds: float = 120.0) -> float:
    """Wait until `condition()` holds; the seconds that it took. Raises TimeoutError: nothing here takes this long."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > seconds:
            raise TimeoutError(f"waited in vain for {what}")
        time.sleep(0.01)
    return time.monotonic() - began


def wait_for_run(project: Path) -> RunFolder:
    """The run of a project that has none yet, once it is there and an engine holds it."""
    wait_for(lambda: any(look(run).status == "held" for run in list_runs(project)), "an engine")
    return list_runs(project)[-1]


def wait_for_step(run: RunFolder, step: int) -> None:
    wait_for(lambda: observe(run).snapshot.step >= step or observe(run).over, f"step {step}")


def wait_for_end(run: RunFolder) -> str:
    """Until the engine has let go; the state that it ended in."""
    wait_for(lambda: observe(run).over and look(run).status != "held", "the end of the run")
    return observe(run).state


# ------------------------------------------------------------------------------------------------------ what came of it
def tensors(lora: Path) -> dict[str, tuple[str, tuple[int, ...], bytes]]:
    """Name → (dtype, shape, bytes) of a whole safetensors file. Raises ValueError where it is not whole."""
    data = lora.read_bytes()
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    header.pop("__metadata__", None)
    if len(data) != end + max((entry["data_offsets"][1] for entry in header.values()), default=0):
        raise ValueError(f"{lora} has not the length that its header says")
    return {
        name: (entry["dtype"], tuple(entry["shape"]), data[slice(*(end + at for at in entry["data_offsets"]))])
        for name, entry in header.items()
    }


def steps(run: RunFolder) -> list[dict[str, Any]]:
    """The steps as a reader sees them (`resumed` takes back the later ones), without what the clock makes."""
    kept: list[dict[str, Any]] = []
    for event in read_all(run.events_path):
        if event["kind"] == "resumed":
            kept = [step for step in kept if step["step"] <= event["from_step"]]
        elif event["kind"] == "step":
            kept.append({name: value for name, value in event.items() if name not in NOT_THE_SAME})
    return kept


def differences(run: RunFolder, undisturbed: RunFolder) -> list[str]:
    """Where `run` is not as an undisturbed run of the same project: LoRAs to the bit, steps, pictures. []: the same."""
    found = []
    for name in sorted({path.name for of in (run, undisturbed) for path in of.output_dir.glob("*.safetensors")}):
        if not all((of.output_dir / name).is_file() for of in (run, undisturbed)):
            found.append(f"output/{name} is in one of them only")
        elif tensors(run.output_dir / name) != tensors(undisturbed.output_dir / name):
            found.append(f"the tensors of output/{name} differ")
    for name in sorted({path.name for of in (run, undisturbed) for path in of.samples_dir.glob("*.png")}):
        pictures = [of.samples_dir / name for of in (run, undisturbed)]
        if not all(path.is_file() for path in pictures):
            found.append(f"samples/{name} is in one of them only")
        elif len({pixels(path) for path in pictures}) > 1:
            found.append(f"samples/{name} shows something else")
    own, other = steps(run), steps(undisturbed)
    if own != other:
        apart = next((n for n, (a, b) in enumerate(zip(own, other, strict=False)) if a != b), min(len(own), len(other)))
        found.append(f"steps: {len(own)} and {len(other)}; they differ from place {apart}: {own[apart : apart + 1]}")
    return found


def pixels(picture: Path) -> bytes:
    with Image.open(picture) as image:
        return image.tobytes()


def unopenable(project: Path) -> list[str]:
    """Files of the project that do not open as what their names say, and leftovers of writing. [] = all is whole."""
    found = []
    for path in sorted(project.rglob("*")):
        shown = str(path.relative_to(project))
        if path.name.endswith(TEMPORARY):
            found.append(f"{shown}: left over")
        elif path.is_file():
            try:
                _open(path)
            except Exception as error:
                found.append(f"{shown}: {type(error).__name__}: {error}")
    return found


def _open(path: Path) -> None:
    kind = path.suffix
    if kind == ".safetensors":
        tensors(path)
    elif kind == ".png":
        pixels(path)
    elif kind == ".toml":
        tomllib.loads(path.read_text(encoding="utf-8"))
    elif kind == ".json" or path.name == "lock":
        json.loads(path.read_text(encoding="utf-8"))
    elif kind == ".jsonl":
        *whole, rest = path.read_bytes().split(b"\n")
        torn = sum(not _is_json(line) for line in whole if line)
        lives = sum(FIRST_PHASE.encode() in line and b'"start"' in line for line in whole)
        if rest or torn >= lives:  # each engine but the last may have been killed in the middle of a line
            raise ValueError(f"{torn} lines are torn, and {lives} engines have written")
    elif kind in (".txt", ".log"):
        path.read_text(encoding="utf-8")
    else:
        raise ValueError("nobody knows this kind of file")


def _is_json(line: bytes) -> bool:
    with contextlib.suppress(ValueError):
        json.loads(line)
        return True
    return False
