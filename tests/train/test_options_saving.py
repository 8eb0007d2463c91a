"""Which LoRAs are saved and which of them go again; when samples are drawn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import engine.train.loop as loop_module
from engine.runs.events import read_all
from engine.runs.fold import fold
from engine.train import output
from tests.training import Trained, Trainer, ask_to_stop, same

VALUES: dict[str, Any] = {
    "max_train_epochs": 4,  # of 3 steps
    "save_every_n_epochs": 1,
    "save_last_n_epochs": 1,
    "save_every_n_steps": 2,
    "save_last_n_steps": 4,
    "sample_every_n_epochs": 2,
    "sample_every_n_steps": 1,
    "sample_prompts": ("a man --w 64 --h 64 --s 1",),
    "checkpoint_every_n_steps": 5,
}


@pytest.fixture(scope="module")
def thinned(train: Trainer) -> Trained:
    return train(**VALUES)


def test_option_save_last_n_epochs_and_save_last_n_steps(thinned: Trained) -> None:
    kept = [
        "ohwx-000003.safetensors",
        "ohwx-step00000008.safetensors",
        "ohwx-step00000010.safetensors",
        "ohwx-step00000012.safetensors",
        "ohwx.safetensors",
    ]
    assert thinned.files == kept
    assert sorted(path.name for path in thinned.run.output_dir.iterdir()) == kept
    removed = [Path(event["path"]).name for event in thinned.of("saved-removed")]
    assert removed == [
        "ohwx-000001.safetensors",
        "ohwx-step00000002.safetensors",
        "ohwx-000002.safetensors",
        "ohwx-step00000004.safetensors",
        "ohwx-step00000006.safetensors",
    ]
    shown = sorted(Path(saved.path).name for saved in fold(thinned.events).saved)
    assert shown == kept


def test_option_save_every_n_steps(thinned: Trained, train: Trainer) -> None:
    steps = [e["step"] for e in thinned.of("saved") if "-step" in e["path"]]
    assert steps == [2, 4, 6, 8, 10, 12]
    ten, twelve = (thinned.saved(f"ohwx-step{step:08d}.safetensors") for step in (10, 12))
    assert (ten.metadata["ss_steps"], ten.metadata["ss_epoch"]) == ("10", "3")  # epochs before its own, as sd-scripts
    assert (twelve.metadata["ss_steps"], twelve.metadata["ss_epoch"]) == ("12", "3")
    assert thinned.lora.metadata["ss_epoch"] == "4"
    assert same(twelve, thinned.lora)
    assert not same(ten, thinned.lora)


def test_option_sample_every_n_epochs(thinned: Trained) -> None:
    assert [event["step"] for event in thinned.of("sample")] == [6, 12]  # and not those of sample_every_n_steps


@pytest.mark.proof
def test_a_lora_that_was_saved_by_a_stop_stays_and_the_rest_is_as_undisturbed(
    train: Trainer, thinned: Trained, before_call: Callable[..., None]
) -> None:
    project = train.project()
    run = train.prepare(project, **VALUES)
    before_call(loop_module, "train_step", {7: ask_to_stop})
    assert train.do(run, project).end["status"] == "stopped"
    resumed = train.do(run, project)
    assert sorted({*resumed.files} - {*thinned.files}) == ["ohwx-step00000007.safetensors"]
    assert {*thinned.files} <= {*resumed.files}
    assert all(same(resumed.saved(name), thinned.saved(name)) for name in thinned.files)
    assert len(fold(read_all(run.events_path)).saved) == 6


def test_only_what_the_run_itself_put_into_model_is_taken_out(thinned: Trained, tmp_path: Path) -> None:
    session = int(thinned.lora.metadata["ss_session_id"])
    ours = (thinned.run.output_dir / "ohwx-000003.safetensors").read_bytes()
    for name in ("ohwx-000003", "ohwx-000003-2", "ohwx-0000031", "ohwx-000003-best"):
        (tmp_path / f"{name}.safetensors").write_bytes(ours)
    output.withdraw(Path("ohwx-000003.safetensors"), tmp_path, session + 1)
    assert len(list(tmp_path.iterdir())) == 4
    output.withdraw(Path("ohwx-000003.safetensors"), tmp_path, session)
    assert sorted(path.stem for path in tmp_path.iterdir()) == ["ohwx-000003-best", "ohwx-0000031"]
