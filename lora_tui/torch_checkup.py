"""What torch can do on this machine: its devices, the kernels of attention, quantised weights and optimizers.

Asked in a process of its own (`engine.probe`), which may fail, crash or hang without taking anybody along.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

from engine.plan.byte_counts import size
from engine.plan.errors import inert
from engine.plan.gpus import BF16_CAPABILITY
from engine.runs.detached import PYTHON_MODULE
from engine.runs.launch import environment
from lora_tui.check_line import Check

INSTALL = "Install it again: see https://pytorch.org/get-started/locally/"

_MADE_FOR = {
    "xformers": ("attention xformers", "sdpa, which is as fast with today's PyTorch"),
    "fp8": ("base_weights fp8", "full or nf4"),
    "nf4": ("base_weights nf4", "fp8"),
    "AdamW8bit": ("optimizer_type AdamW8bit", "Adafactor, which saves as much memory"),
}
"""What each ability is good for, and what does without it."""


@dataclass
class Probed:
    """base: what `engine.probe.probe` found; None where torch could not be loaded. abilities: of each that was tried.
    ended_at: the one that ended the process, or hung; "". last_words: what the process said at its end."""

    base: dict[str, Any] | None = None
    abilities: dict[str, dict[str, Any]] = field(default_factory=dict)
    ended_at: str = ""
    hangs: bool = False
    last_words: str = ""
    code: int = 0


def ask(seconds: float) -> Probed:
    """Let a process try everything; after `seconds` it is left alone, and what it has said until then counts."""
    asking = subprocess.Popen(
        [*PYTHON_MODULE, "engine.probe"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd="/",
        env=environment(os.environ),
        start_new_session=True,
    )
    hangs = False
    try:
        said, complained = asking.communicate(timeout=seconds)
    except subprocess.TimeoutExpired as late:
        asking.kill()
        said, complained, hangs = late.stdout or b"", late.stderr or b"", True
        with contextlib.suppress(subprocess.TimeoutExpired):
            asking.wait(1)  # and no longer: what hangs in a driver does not even die
    return read(said, complained, asking.returncode or 0, hangs)


def read(said: bytes, complained: bytes, code: int, hangs: bool) -> Probed:
    """What the process wrote; libraries may chat in between."""
    lines = complained.decode("utf-8", "replace").strip().splitlines()
    found = Probed(hangs=hangs, code=code, last_words=inert(lines[-1], 300) if lines else "")
    for line in said.splitlines():
        try:
            told = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if not isinstance(told, dict):
            continue
        if isinstance(told.get("torch"), str) and isinstance(told.get("gpus"), list):
            found.base = told
        elif isinstance(told.get("trying"), str):
            found.ended_at = told["trying"]
        elif isinstance(told.get("ability"), str):
            found.abilities[told["ability"]] = told
            found.ended_at = ""
    return found


def checks(found: Probed, seconds: float) -> list[Check]:
    """The lines of the report."""
    if found.base is None and found.hangs:
        advice = "Try again; if it stays so, the driver of the graphics card may hang: restart the machine."
        return [Check("torch", "error", f"does not answer within {seconds:.0f} s", advice)]
    if found.base is None:
        why = found.last_words or f"exit code {found.code}"
        return [Check("torch", "error", f"cannot be loaded: {why}", INSTALL)]
    return [Check("torch", "ok", _built_for(found.base)), *devices(found.base), *_abilities(found)]


def _built_for(base: dict[str, Any]) -> str:
    built = f", built for CUDA {base['cuda']}" if base.get("cuda") else ""
    built = f", built for ROCm {base['hip']}" if base.get("hip") else built
    return f"{base['torch']}{built}"


def devices(base: dict[str, Any]) -> list[Check]:
    """What a training can run on, as torch sees it."""
    lines = []
    for number, gpu in enumerate(base["gpus"]):
        name = "device" if len(base["gpus"]) == 1 else f"device cuda:{number}"
        if gpu["problem"]:
            value = f"{gpu['name']} does not calculate: {gpu['problem']}"
            lines.append(Check(name, "error", value, "Install the build of torch that fits this card and its driver."))
        else:
            value = f"{gpu['name']}, {size(gpu['total_bytes'])}, {size(gpu['free_bytes'])} of it free"
            lines.append(Check(name, "ok", value))
    if not lines and base["mps"]:
        lines.append(Check("device", "ok", "Apple GPU (mps)"))
    if not lines:
        advice = "Full-size SDXL needs a GPU of NVIDIA, AMD (ROCm) or Apple. The demo runs without."
        if not base["cuda"] and shutil.which("nvidia-smi"):
            advice = "There is an NVIDIA driver: install the CUDA build of torch, see https://pytorch.org/get-started/"
        lines.append(Check("device", "warning", f"the processor only: {base['why']}", advice))
    return lines


def _abilities(found: Probed) -> list[Check]:
    lines = [_attention(found)] if found.abilities or found.ended_at else []
    lines += [_ability(name, told) for name, told in found.abilities.items() if name in _MADE_FOR]
    lines += _torchao() if lines else []
    if found.ended_at:
        what = _MADE_FOR.get(found.ended_at, (f"attention {found.ended_at}", "another one"))
        end = "does not answer" if found.hangs else f"ends the program that tries it (exit code {found.code})"
        advice = f"Use {what[1]}. What comes after it was not tried."
        lines.append(Check(_line_name(found.ended_at), "warning", f"{what[0]} {end}", advice))
    return lines


def _attention(found: Probed) -> Check:
    """PyTorch takes the first of its kernels that can; any of the fast ones will do."""
    works = {
        name.partition(" ")[2]: told["works"] for name, told in found.abilities.items() if name.startswith("sdpa ")
    }
    good, not_here = [name for name, does in works.items() if does], [name for name, does in works.items() if not does]
    if not good:
        return Check("attention sdpa", "error", "sdpa works with none of its kernels", INSTALL)
    value = f"sdpa with {', '.join(good)}" + (f"; not here: {', '.join(not_here)}" if not_here else "")
    if good == ["math"]:
        advice = "It is the slow one, and takes more memory. Newer cards and builds of torch have faster ones."
        return Check("attention sdpa", "warning", value, advice)
    return Check("attention sdpa", "ok", value)


def _ability(name: str, told: dict[str, Any]) -> Check:
    use, instead = _MADE_FOR[name]
    if told["works"]:
        return Check(_line_name(name), "ok", f"{use} works")
    if told["missing"]:
        package = told["missing"]
        how = 'pip install "lora-tui[cuda]"' if package == "bitsandbytes" else f"pip install {package}"
        return Check(_line_name(name), "ok", f"{use} would need {package}, which is not installed: {how}")
    return Check(_line_name(name), "warning", f"{use} does not work here: {told['why']}", f"Use {instead}.")


def _line_name(ability: str) -> str:
    """What its line is called: packages have lines of their own."""
    return {"xformers": "attention xformers", "fp8": "weights fp8", "nf4": "weights nf4"}.get(ability, ability)


def _torchao() -> list[Check]:
    """Nothing here uses it; people who know it from elsewhere ask."""
    try:
        return [Check("torchao", "ok", f"{metadata.version('torchao')}; nothing here uses it")]
    except metadata.PackageNotFoundError:
        return []


def bf16_in_words(capability: tuple[int, int] | None, bf16: bool | None) -> str:
    """Whether a GPU calculates in bf16, for its line."""
    if bf16 is None:
        return "bf16: not known"
    if bf16:
        return "bf16"
    since = f"{BF16_CAPABILITY[0]}.{BF16_CAPABILITY[1]}"
    return "no bf16, so fp16" + (f" (bf16 from compute capability {since} on)" if capability else "")
