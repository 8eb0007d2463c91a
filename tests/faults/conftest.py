"""Small trainings in this process, one of them undisturbed, and disks that refuse."""

from __future__ import annotations

import builtins
import errno
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import engine.train.loop as loop_module
from engine.runs.resume import prepare
from tests.training import Trained, Trainer

# 4 pictures in 3 batches, 4 epochs: 12 steps. Everything that a run does happens at least twice.
WHOLE: dict[str, Any] = {
    "max_train_epochs": 4,
    "checkpoint_every_n_steps": 4,
    "sample_every_n_steps": 6,
    "sample_prompts": ("a man --w 64 --h 64 --s 2",),
    "optimizer_type": "Prodigy",
    "optimizer_args": ("weight_decay=0.01", "decouple=True", "d0=0.0001", "use_bias_correction=True"),
    "learning_rate": 1.0,
    "noise_offset": 0.1,
    "caption_dropout_rate": 0.2,
}


@pytest.fixture(scope="session")
def trainer(micro_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    return Trainer(micro_folder, tmp_path_factory.mktemp("faults"), tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def undisturbed(trainer: Trainer) -> Trained:
    trained = trainer(**WHOLE)
    assert (trained.end["status"], len(trained.losses)) == ("finished", 12)
    return trained


def go_on(trainer: Trainer, trained: Trained) -> Trained:
    """What `train --resume` does, in this process."""
    prepare(trained.run)
    return trainer.do(trained.run, trained.project)


def after_step(step: int, do: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Call `do` once when a training in this process has done `step` steps."""
    original, done = loop_module.train_step, 0

    def counted(*arguments: object) -> object:
        nonlocal done
        done += 1
        if done == step:
            do()
        return original(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(loop_module, "train_step", counted)


Where = Callable[[str], bool]


@contextmanager
def refusing(number: int, where: Where, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Every call of this process that would write where `where(path)` holds fails with the error `number`.

    Yields the paths that were refused. Writing through files that libraries in C open comes as far as the next fsync.
    """
    refused: list[str] = []

    def refuse(path: object) -> None:
        name = os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else _name_of(path)
        if where(name):
            refused.append(name)
            raise OSError(number, os.strerror(number), name)

    def guarded(call: Callable[..., Any], writes: Callable[..., bool] = lambda *_, **__: True) -> Callable[..., Any]:
        def ask_first(path: object, *rest: Any, **options: Any) -> Any:
            if writes(*rest, **options):
                refuse(path)
            return call(path, *rest, **options)

        return ask_first

    def opens_to_write(flags: int, *_: Any, **__: Any) -> bool:
        return bool(flags & (os.O_WRONLY | os.O_RDWR))

    def mode_writes(mode: str = "r", *_: Any, **__: Any) -> bool:
        return any(letter in mode for letter in "wax+")

    with monkeypatch.context() as patch:
        for name in ("write", "fsync", "replace", "rename", "mkdir", "ftruncate", "link"):
            patch.setattr(os, name, guarded(getattr(os, name)))
        if number == errno.EROFS:  # a full disk still deletes
            for name in ("unlink", "rmdir"):
                patch.setattr(os, name, guarded(getattr(os, name)))
        patch.setattr(os, "open", guarded(os.open, opens_to_write))
        opened = guarded(io.open, mode_writes)
        patch.setattr(io, "open", opened)
        patch.setattr(builtins, "open", opened)
        yield refused


def _name_of(handle: object) -> str:
    """The path of an open file; "" for what is none."""
    try:
        return os.readlink(f"/proc/self/fd/{handle}")
    except OSError:
        return ""
