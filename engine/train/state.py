"""A training's whole state on disk, so that it can go on as if nothing had happened.

    checkpoints/step-00000250/
        state.json              where the training stands, and every number of the optimizer that is no tensor
        lora.safetensors        the flat buffers in fp32
        optimizer.safetensors   the optimizer's tensors

All randomness is a function of seed, step and position (`noise`), so there is no random state to keep. On the CPU a
training that goes on from here computes the same bits as one that was never interrupted.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from engine.lora.network import LoraNetwork
from engine.plan.errors import UserError, inert
from engine.plan.files import disk_errors, sync_folder, whole_folder
from engine.runs.checkpoints import STATE_FILE

VERSION = 1
LORA_FILE, OPTIMIZER_FILE = "lora.safetensors", "optimizer.safetensors"
_TENSOR = "tensor:"


@dataclass
class Position:
    """Where a training stands: after `step` of all and `epoch_step` of `epoch`, both from 1; all 0 at the beginning.

    `recent` are the losses that the next average goes over. The rest stays what it was when the training began: the
    LoRA's `name`, `session_id` and `started` (Unix seconds) of its metadata, and what it was trained on (`base_model`,
    a fingerprint, and `pictures`, as `checkpointing.pictures_of` tells them).
    """

    step: int = 0
    epoch: int = 0
    epoch_step: int = 0
    recent: list[float] = field(default_factory=list)
    name: str = ""
    session_id: int = 0
    started: float = 0.0
    base_model: str = ""
    pictures: dict[str, list[object]] = field(default_factory=dict)


class Damaged(Exception):  # noqa: N818 - says what the checkpoint is
    """A checkpoint that cannot be read."""


def write(
    folder: Path,
    position: Position,
    network: LoraNetwork,
    optimizer: torch.optim.Optimizer,
    accelerator: Accelerator,
) -> int:
    """Write a checkpoint as `folder`, whole or not at all; returns its size in bytes. Raises UserError."""
    tensors: dict[str, Tensor] = {}
    scaler = accelerator.scaler
    state = {
        "v": VERSION,
        **asdict(position),
        "layout": layout(network),
        "optimizer": without_tensors(optimizer.state_dict(), "optimizer", tensors),
        "scaler": scaler.state_dict() if scaler is not None else None,
    }
    with disk_errors(folder), whole_folder(folder) as partial:
        _save(network.values(), partial / LORA_FILE)
        _save(_each_its_own(tensors), partial / OPTIMIZER_FILE)
        (partial / STATE_FILE).write_text(json.dumps(state, indent=1), "utf-8")
        size = sum(_synced(path) for path in partial.iterdir())
        sync_folder(partial)
    sync_folder(folder.parent)
    return size


def read_position(folder: Path) -> Position:
    """Where the checkpoint in `folder` stands, without its tensors. Raises Damaged."""
    return _position(_read_json(folder))


@torch.no_grad()
def restore(folder: Path, network: LoraNetwork, optimizer: torch.optim.Optimizer, accelerator: Accelerator) -> Position:
    """Put the state in `folder` back into a network and an optimizer made with the same settings.

    Raises Damaged when the files cannot be read, before anything was changed; UserError "checkpoint-does-not-fit" when
    they belong to another network.
    """
    state = _read_json(folder)
    position = _position(state)
    try:
        lora, tensors = load_file(folder / LORA_FILE), load_file(folder / OPTIMIZER_FILE)
        optimizer_state = with_tensors(state["optimizer"], tensors)
    except (OSError, SafetensorError, KeyError) as error:
        raise Damaged(f"{type(error).__name__}: {error}") from error
    own = {name: flat.shape for name, flat in network.values().items()}
    if state.get("layout") != layout(network) or own != {name: flat.shape for name, flat in lora.items()}:
        raise UserError(
            "checkpoint-does-not-fit",
            f"The checkpoint {inert(folder)} belongs to another LoRA or base model than this run's.",
            "Put the base model back that the run was started with, or start a new run.",
        )
    network.set_values(lora)
    # JSON has only text as keys; torch numbers the parameters
    optimizer_state["state"] = {int(number): values for number, values in optimizer_state["state"].items()}
    optimizer.load_state_dict(optimizer_state)
    if accelerator.scaler is not None and state.get("scaler"):
        accelerator.scaler.load_state_dict(state["scaler"])
    return position


def layout(network: LoraNetwork) -> str:
    """A fingerprint of what lies where in the flat buffers."""
    rows = [f"{m.stem} {tuple(m.down.shape)} {tuple(m.up.shape)} {m.alpha}" for m in network.modules]
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()


def _read_json(folder: Path) -> dict[str, Any]:
    try:
        state = json.loads((folder / STATE_FILE).read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise Damaged(f"{type(error).__name__}: {error}") from error
    if not isinstance(state, dict) or state.get("v") != VERSION:
        raise Damaged(f"{STATE_FILE} is not of this version.")
    return state


def _position(state: Mapping[str, Any]) -> Position:
    try:
        position = Position(**{name: state[name] for name in Position.__dataclass_fields__})
    except KeyError as error:
        raise Damaged(f"{STATE_FILE} lacks {error}.") from error
    wrong = [n for n, default in asdict(Position()).items() if not isinstance(getattr(position, n), type(default))]
    if wrong:
        raise Damaged(f"{STATE_FILE} holds nonsense under {', '.join(wrong)}.")
    return position


def without_tensors(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """`value` as JSON holds it; its tensors go to `tensors`, and their names stand in their places."""
    if isinstance(value, Tensor):
        tensors[name] = value
        return _TENSOR + name
    if isinstance(value, Mapping):
        return {str(key): without_tensors(item, f"{name}.{key}", tensors) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_tensors(item, f"{name}.{number}", tensors) for number, item in enumerate(value)]
    return value


def with_tensors(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    """What `without_tensors` was given, with text as the keys of every mapping and lists for tuples."""
    if isinstance(value, str) and value.startswith(_TENSOR):
        return tensors[value.removeprefix(_TENSOR)]
    if isinstance(value, dict):
        return {key: with_tensors(item, tensors) for key, item in value.items()}
    if isinstance(value, list):
        return [with_tensors(item, tensors) for item in value]
    return value


def _each_its_own(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`tensors` contiguous and without shared memory, which safetensors refuses: bitsandbytes shares its tables."""
    found: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in tensors.items():
        place = tensor.untyped_storage().data_ptr()
        found[name] = tensor.clone(memory_format=torch.contiguous_format) if place in seen else tensor.contiguous()
        seen.add(place)
    return found


def _save(tensors: dict[str, Tensor], path: Path) -> None:
    """Raises OSError: safetensors has an error of its own for a full disk and tells the number in its text."""
    try:
        save_file(tensors, path)
    except SafetensorError as error:
        if number := re.search(r"os error (\d+)", str(error)):
            raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) from error
        raise


def _synced(path: Path) -> int:
    """Make a file's content outlive a power cut; returns its size in bytes."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
        return os.fstat(handle).st_size
    finally:
        os.close(handle)
