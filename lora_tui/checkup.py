"""What stands in the way of a training on this machine, and what to do about it: the checks of `lora-tui doctor`."""

from __future__ import annotations

import fcntl
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

from engine.plan import own_presets
from engine.plan.byte_counts import size
from engine.plan.errors import UserError, few, inert, plural
from engine.runs import on_end, queue
from engine.runs.places import cache_dir, presets_dir, state_dir
from lora_tui import hardware, hardware_checkup, recent, terminal, themes, torch_checkup
from lora_tui.check_line import Check, Status

__all__ = ["Check", "all_checks", "machine_checks"]

OLDEST_PYTHON = (3, 11)
TORCH_SECONDS = 60.0  # importing it takes 2 to 3 s, on a cold network disk half a minute
PACKAGES = (
    "textual", "rich", "diffusers", "transformers", "peft", "accelerate", "safetensors", "prodigyopt", "pillow"
)  # fmt: skip
EXTRAS = {
    "bitsandbytes": "optimizer_type AdamW8bit and base_weights nf4",
    "xformers": "attention xformers",
    "pillow-heif": "pictures from Apple phones (.heic)",
}  # and what of the options needs them
FULL_BYTES, TIGHT_BYTES = 10**9, 15 * 10**9  # one LoRA of rank 96 is half a GB, two checkpoints about 10

_Part = tuple[str, Callable[[], list[Check]]]


def all_checks() -> Iterator[Check]:
    """Every check of `lora-tui doctor`. Never raises: what cannot be checked is a warning."""
    yield from machine_checks()
    yield from _done([("terminal", _terminal)])


def machine_checks() -> Iterator[Check]:
    """All but those of the terminal. They take some seconds, most of them torch's. Never raises."""
    parts: list[_Part] = [
        ("Python", _python),
        ("GPU", hardware_checkup.gpu_checks),
        ("torch", _torch),
        ("packages", _packages),
        ("processor", hardware_checkup.processor_check),
        ("memory", hardware_checkup.memory_check),
        ("disk", _disks),
        ("hub", hardware_checkup.hub_checks),
        ("on_end", _on_end),
        ("queue", _queue),
        ("recent projects", _recent),
        ("own presets", _own_presets),
    ]
    yield from _done(parts)


def _done(parts: list[_Part]) -> Iterator[Check]:
    for name, part in parts:
        try:
            yield from part()
        except Exception as error:  # a check must not keep the others from being shown
            yield Check(name, "warning", f"could not be checked: {inert(error) or type(error).__name__}")


def _python() -> list[Check]:
    value = f"{platform.python_version()}, {sys.executable}"
    if sys.version_info[:2] < OLDEST_PYTHON:
        return [Check("Python", "error", value, "Install Python 3.11 or newer.")]
    return [Check("Python", "ok", value)]


def _torch() -> list[Check]:
    """Torch and what it can do, and whether the driver is new enough for it."""
    found = torch_checkup.ask(TORCH_SECONDS)
    lines = torch_checkup.checks(found, TORCH_SECONDS)
    if found.base is not None:
        lines[1:1] = hardware_checkup.cuda_check(hardware.gpus_here(), found.base.get("cuda"))
    return lines


def _packages() -> list[Check]:
    oldest = _lower_bounds()
    checks = []
    for name in PACKAGES:
        bound = oldest.get(name, "")
        wanted = f"pip install '{name}>={bound}'" if bound else f"pip install {name}"
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            checks.append(Check(name, "error", "not installed", wanted))
            continue
        if _numbers(version) < _numbers(bound):
            checks.append(Check(name, "error", f"{version}, but {bound} is needed", wanted))
        else:
            checks.append(Check(name, "ok", version))
    for name, use in EXTRAS.items():
        try:
            checks.append(Check(name, "ok", metadata.version(name)))
        except metadata.PackageNotFoundError:
            checks.append(Check(name, "ok", f"not installed; only {use} would need it"))
    return checks


def _lower_bounds() -> dict[str, str]:
    """The oldest versions that are known to work, from our own metadata; empty where that is not installed."""
    try:
        required = metadata.requires("lora-tui") or []
    except metadata.PackageNotFoundError:
        return {}
    found = (re.match(r"([A-Za-z0-9_.-]+)\s*>=\s*([0-9.]+)", text) for text in required)
    return {match[1].lower(): match[2] for match in found if match}


def _numbers(version: str) -> tuple[int, ...]:
    """`2.13.0+cpu` as (2, 13, 0)."""
    return tuple(int(part) for part in re.findall(r"\d+", version.partition("+")[0])[:3])


def _disks() -> list[Check]:
    places = (
        ("this folder", Path.cwd(), "Projects want a disk with room: each keeps its runs in its own folder."),
        ("cache", cache_dir(), "Set XDG_CACHE_HOME to a folder on a disk with room."),
        ("state", state_dir(), "Set XDG_STATE_HOME to a folder that can be written."),
    )
    return [_disk(name, folder, advice) for name, folder, advice in places]


def _disk(name: str, folder: Path, advice: str) -> Check:
    there = next(path for path in (folder, *folder.parents) if path.is_dir())
    free = shutil.disk_usage(there).free
    value = f"{folder}, {size(free)} free"
    try:
        with tempfile.TemporaryFile(dir=there) as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return Check(name, "warning", f"{value}, but it cannot be written and locked: {error.strerror}", advice)
    if name == "this folder" and free < TIGHT_BYTES:
        hint = "Two checkpoints of a full-size training take about 10 GB, each LoRA half a GB. Free some space."
        return Check(name, "warning", value, hint)
    if free < FULL_BYTES:
        return Check(name, "warning", f"{value}: hardly anything", advice)
    return Check(name, "ok", value)


def _on_end() -> list[Check]:
    path = on_end.config_path()
    try:
        command = on_end.configured()
    except UserError as error:
        return [Check("config", "error", error.message, error.hint)]
    if command:
        return [Check("config", "ok", f"{path}: when a training ends, runs {command}")]
    return [Check("config", "ok", f"{path}: no command for when a training ends (on_end)")]


def _queue() -> list[Check]:
    entries = queue.entries()
    waiting = sum(queue.turn(entry) in ("start", "resume") for entry in entries)
    lock = queue.runner()
    value = f"{queue.folder()}, {plural(waiting, 'run')} waiting"
    if lock.status == "held":
        return [Check("queue", "ok", f"{value}, at work (process {lock.pid})")]
    return [Check("queue", "ok", f"{value}, not at work", "Begin with: lora-tui queue start" if waiting else "")]


def _recent() -> list[Check]:
    return [Check("recent projects", "ok", f"{recent.list_path()}, {plural(len(recent.projects()), 'project')}")]


def _own_presets() -> list[Check]:
    own, broken = own_presets.found(presets_dir())
    value = f"{presets_dir()}, {plural(len(own), 'preset')}"
    if not broken:
        return [Check("own presets", "ok", value)]
    return [Check("own presets", "warning", value, f"Cannot be used: {few(file.name for file in broken)}.")]


def _terminal() -> list[Check]:
    status: dict[str, Status] = {"ok": "ok", "note": "ok", "warning": "warning"}
    here = terminal.examine()
    found = terminal.remarks(here, coloured=themes.choose(colours=here.colours != "none") != "none")
    return [Check(f"terminal: {one.what}", status[one.level], one.says, one.hint) for one in found]
