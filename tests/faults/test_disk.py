"""A disk that takes no more, or nothing at all any more: one clear sentence, whole checkpoints, the same LoRA later."""

from __future__ import annotations

import errno
import itertools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks import small_run
from engine.__main__ import work
from engine.plan.errors import UserError
from engine.plan.files import mount_point
from engine.runs.checkpoints import list_checkpoints
from engine.runs.resume import prepare
from engine.runs.state import observe
from tests.faults.conftest import WHOLE, Where, go_on, refusing
from tests.training import Trained, Trainer, make_project, own_process

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

CODES = {errno.ENOSPC: "disk-full", errno.EDQUOT: "disk-full", errno.EROFS: "not-writable"}


def from_the_second_time(part: str) -> Where:
    """Paths with `part` in them, once the first file there has been whole: the disk fills up later on."""
    firsts: set[str] = set()

    def where(path: str) -> bool:
        if f"/{part}/" not in path:
            return False
        firsts.add(path.split(f"/{part}/")[1].lstrip(".").partition(".")[0])
        return len(firsts) > 1

    return where


@pytest.mark.parametrize(
    ("number", "part"),
    [
        (errno.ENOSPC, "checkpoints"),
        (errno.ENOSPC, "output"),
        (errno.ENOSPC, "model"),
        (errno.EROFS, "checkpoints"),
        pytest.param(errno.EROFS, "output", marks=pytest.mark.proof),
        pytest.param(errno.EROFS, "model", marks=pytest.mark.proof),
    ],
    ids=lambda value: errno.errorcode.get(value, value),
)
def test_the_disk_refuses_in_the_middle(
    trainer: Trainer, undisturbed: Trained, monkeypatch: pytest.MonkeyPatch, number: int, part: str
) -> None:
    with refusing(number, from_the_second_time(part), monkeypatch) as refused:
        trained = trainer(**WHOLE)
    assert refused
    assert (trained.code, trained.end["status"], trained.end["code"]) == (1, "failed", CODES[number])
    message = trained.end["message"]
    assert "\n" not in message
    assert (
        f"The disk at {mount_point(trained.run.path)} is full" if number == errno.ENOSPC else "read-only"
    ) in message
    assert len(list_checkpoints(trained.run)) >= 1
    assert small_run.unopenable(trained.run.path) == []

    # What was learnt since the checkpoint before is a LoRA at least, which stays as that of a stop does.
    extra = ["output/ohwx-step00000008.safetensors is in one of them only"] if part == "checkpoints" else []
    assert ("The LoRA of step 8 is saved." in message) == bool(extra)
    again = go_on(trainer, trained)
    assert again.end["status"] == "finished"
    assert small_run.differences(again.run, undisturbed.run) == extra
    assert small_run.unopenable(again.project) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO], ids=errno.errorcode.get)
def test_the_last_checkpoint_is_not_worth_a_training(
    trainer: Trainer, undisturbed: Trained, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    with refusing(number, lambda path: "step-00000012" in path, monkeypatch) as refused:
        trained = trainer(**WHOLE)
    assert refused
    assert trained.end["status"] == "finished"
    assert "after the last step" in trained.warnings["checkpoint-failed"]
    assert [checkpoint.step for checkpoint in list_checkpoints(trained.run)] == [4, 8]
    assert [event["step"] for event in trained.of("saved")] == [3, 6, 9, 12]
    assert small_run.differences(trained.run, undisturbed.run) == []
    assert small_run.unopenable(trained.project) == []

    prepare(trained.run, {"max_train_epochs": 5})  # as before it can be made longer, from the checkpoint that is there
    longer = trainer.do(trained.run, trained.project)
    assert longer.end["status"] == "finished"
    assert longer.of("resumed")[-1]["from_step"] == 8
    assert small_run.unopenable(longer.project) == []


@pytest.mark.parametrize("room", ["for all", "for the LoRA alone"])
def test_where_the_room_is_not_enough_for_both_the_last_lora_comes_first(
    trainer: Trainer, undisturbed: Trained, monkeypatch: pytest.MonkeyPatch, room: str
) -> None:
    """Else the last checkpoint takes the room that the LoRA needs."""
    disk = SimpleNamespace(free=10**12 if room == "for all" else 1)
    monkeypatch.setattr("engine.train.keeping.shutil.disk_usage", lambda path: disk)
    trained = trainer(**WHOLE)
    done = [one["kind"] for one in trained.events if one["kind"] in ("saved", "checkpoint") and one["step"] == 12]
    assert done == (["checkpoint", "saved"] if room == "for all" else ["saved", "checkpoint"])
    assert small_run.differences(trained.run, undisturbed.run) == []


def test_without_room_for_either_it_goes_on_later(
    trainer: Trainer, undisturbed: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = ("step-00000012", "/output/.ohwx.", "/output/ohwx.")
    with refusing(errno.ENOSPC, lambda path: any(name in path for name in last), monkeypatch):
        trained = trainer(**WHOLE)
    assert (trained.end["status"], trained.end["code"]) == ("failed", "disk-full")
    again = go_on(trainer, trained)
    assert again.end["status"] == "finished"
    assert small_run.differences(again.run, undisturbed.run) == []


def test_samples_are_not_worth_a_training(
    trainer: Trainer, undisturbed: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    with refusing(errno.ENOSPC, lambda path: "/samples/" in path, monkeypatch) as refused:
        trained = trainer(**WHOLE)
    assert refused
    assert trained.end["status"] == "finished"
    assert "full" in trained.warnings["sample-failed"]
    found = small_run.differences(trained.run, undisturbed.run)
    assert [line for line in found if not line.startswith("samples/")] == []


def test_a_disk_so_full_that_even_the_last_word_is_lost(
    trainer: Trainer, undisturbed: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing more can be written anywhere in the project from the second checkpoint on, the log of events included."""
    project = trainer.project()
    run = trainer.prepare(project, **WHOLE)
    second = from_the_second_time("checkpoints")
    full = False

    def where(path: str) -> bool:
        nonlocal full
        full = full or second(path)
        return full and path.startswith(str(project))

    with refusing(errno.ENOSPC, where, monkeypatch), own_process(), pytest.raises(UserError) as error:
        work(run)
    assert error.value.code == "disk-full"  # main() prints it, so engine.log has it where that is on another disk
    assert str(mount_point(run.path)) in error.value.message
    assert observe(run).state == "died"
    assert [checkpoint.step for checkpoint in list_checkpoints(run)] == [4]

    again = go_on(trainer, Trained(run, project, 1, ()))
    assert again.end["status"] == "finished"
    assert small_run.differences(run, undisturbed.run) == []
    assert small_run.unopenable(project) == []


def test_the_disk_is_full_before_anything_was_made(
    trainer: Trainer, undisturbed: Trained, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """While pictures are encoded: the cache is on the same disk."""
    project = trainer.project()
    (project / "cache").unlink()
    count = itertools.count()
    with refusing(errno.ENOSPC, lambda path: "/cache/" in path and next(count) > 30, monkeypatch):
        trained = trainer(project, **WHOLE)
    assert (trained.end["status"], trained.end["code"]) == ("failed", "disk-full")
    again = go_on(trainer, trained)
    assert small_run.differences(again.run, undisturbed.run) == []
    assert small_run.unopenable(project) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 16 MiB, where this user may mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16m", "lora-tui-test", str(place)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("only the administrator may mount a small disk")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_real_disk_fills_up(trainer: Trainer, undisturbed: Trained, small_disk: Path) -> None:
    project = make_project(small_disk / "ohwx", trainer.cache)
    run = trainer.prepare(project, **WHOLE)
    ballast = small_disk / "somebody else's file"
    with own_process(), ballast.open("wb") as file:
        room = 0.0
        while room < 9 * 2**20:  # what is left is too little for the checkpoints and the LoRAs of the whole run
            room += file.write(bytes(2**16))
        file.flush()
        code = work(run)
    seen = observe(run)
    assert (code, seen.state) == (1, "failed")
    assert seen.snapshot.end is not None
    assert seen.snapshot.end.code == "disk-full"
    assert f"The disk at {small_disk} is full" in seen.snapshot.end.message
    assert small_run.unopenable(run.path) == []

    ballast.unlink()
    again = go_on(trainer, Trained(run, project, 1, ()))
    assert again.end["status"] == "finished"
    assert small_run.differences(run, undisturbed.run) == []
    assert small_run.unopenable(project) == []
