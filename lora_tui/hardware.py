"""This machine's GPUs, asked for now and then and never waited for long; and the GPU elsewhere that is planned for."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import threading
import time
from dataclasses import replace
from pathlib import Path

from engine.plan.base_model import BaseModel
from engine.plan.errors import Finding, UserError, inert
from engine.plan.files import atomic_write
from engine.plan.gpu_catalogue import Card, named
from engine.plan.gpus import Found, Gpu, from_json
from engine.plan.machine import memory
from engine.plan.memory_fixes import Predict
from engine.plan.settings import Settings
from engine.runs.detached import PYTHON_MODULE
from engine.runs.launch import environment
from engine.runs.places import state_dir

ASK_SECONDS = 10.0
"""A healthy driver answers in a tenth of one; the first call after a start may take some."""
KNOWN_SECONDS = 20.0
"""For how long an answer is taken for what is so: free memory changes, and an app asks at every edit."""

_mutex = threading.Lock()
_answers: list[tuple[float, Found]] = []  # the newest, with the moment it was given


def gpus_here(*, anew: bool = False) -> Found:
    """The GPUs of this machine, as CUDA counts them. Never raises, never takes longer than `ASK_SECONDS`."""
    with _mutex:
        if not anew and _answers and time.monotonic() - _answers[0][0] < KNOWN_SECONDS:
            return _answers[0][1]
        try:
            found = _look()
        except Exception as error:  # whatever a system does not tell: no training is kept from starting by that
            why = inert(str(error), 120).rstrip(".")
            found = Found(problem=f"This machine's GPUs could not be looked for: {why}.", unsure=True)
        _answers[:] = [(time.monotonic(), found)]
        return found


def _look() -> Found:
    from engine.plan import nvidia, other_gpus

    if nvidia.may_be_there():
        found = _ask_nvidia()
        if found.gpus or found.unsure:
            return found
        return other_gpus.amd() or found
    return other_gpus.apple() or other_gpus.amd() or Found()


def _ask_nvidia() -> Found:
    """In a program of its own: a driver that hangs cannot be interrupted, only left alone."""
    hangs = Found(
        "cuda",
        problem=f"The NVIDIA driver does not answer within {ASK_SECONDS:.0f} s.",
        advice="Does nvidia-smi answer? If not, restart the machine.",
        unsure=True,
    )
    try:
        asking = subprocess.Popen(
            [*PYTHON_MODULE, "engine.plan.nvidia"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env=environment(os.environ),
        )
    except OSError as error:
        return replace(hangs, problem=f"The NVIDIA driver could not be asked: {error.strerror}.", advice="Try again.")
    try:
        said, _ = asking.communicate(timeout=ASK_SECONDS)
    except subprocess.TimeoutExpired:
        asking.kill()  # not waited for: what hangs in a driver does not even die
        return hangs
    try:
        return from_json(json.loads(said))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return replace(hangs, problem="The NVIDIA driver made the program that asked it fail.")


def hardware_findings(
    settings: Settings,
    base: BaseModel | None,
    device: str = "auto",
    predict: Predict | None = None,
    *,
    later: bool = False,
) -> list[Finding]:
    """What is worth saying of this training here, and on the GPU that is planned for. Never raises.

    later: it does not begin now, so that it counts what a GPU has when nothing else takes its memory.
    """
    from engine.plan.hardware_checks import check_hardware

    if (base is not None and base.size != "sdxl") or device == "cpu":
        return []
    try:
        found = _from(device)
        if later:
            found = replace(found, gpus=tuple(replace(gpu, free_bytes=None, users=()) for gpu in found.gpus))
        card = planned() if device == "auto" else None
        return check_hardware(settings, base, found, memory(), card.as_gpu() if card is not None else None, predict)
    except Exception:  # whatever a system does not tell: no training is kept from starting by that
        return []


def gpus_for(settings: Settings, device: str = "auto") -> tuple[Gpu, ...] | None:
    """Those of this machine that a training takes, none for the processor; None where nobody knows. Never raises."""
    if device == "cpu":
        return ()
    found = _from(device)
    return None if found.unsure else found.gpus[: max(1, settings.num_processes)]


def _from(device: str) -> Found:
    """What is here, with the GPU that is asked for as the first."""
    found, number = gpus_here(), device.partition(":")[2]
    if not number.isdecimal() or int(number) >= len(found.gpus):
        return found
    first = found.gpus[int(number)]
    return replace(found, gpus=(first, *(gpu for gpu in found.gpus if gpu is not first)))


# ------------------------------------------------------------------------------------------ another GPU to plan for
def planned() -> Card | None:
    """The GPU that was chosen to plan for in place of this machine's; None for this machine's own."""
    with contextlib.suppress(OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError, UserError):
        return named(json.loads(_path().read_bytes())["gpu"])
    return None


def plan_for(card: Card | None) -> None:
    """Remember it for every project, and also for later; None for this machine's own. Raises UserError."""
    if card is None:
        with contextlib.suppress(FileNotFoundError):
            _path().unlink()
        return
    with contextlib.suppress(OSError):
        state_dir().mkdir(parents=True, exist_ok=True)
    atomic_write(_path(), json.dumps({"v": 1, "gpu": card.name}) + "\n")


def _path() -> Path:
    return state_dir() / "planned-gpu.json"
