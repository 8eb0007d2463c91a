"""What the last training had to do without is told to the next one with the same settings, with the line that helps."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from engine.plan import memory_note
from engine.plan.checks import check_settings
from engine.plan.errors import Finding
from engine.plan.gpus import Gpu
from engine.plan.memory import bill_of
from engine.plan.options import by_name
from engine.plan.project import Project
from engine.plan.real_batches import Shapes
from engine.plan.settings import Settings, resolve, to_dict

GIB = 2**30


def found(project: Project, gpus: Sequence[Gpu] | None = None, **settings: object) -> dict[str, Finding]:
    findings = check_settings(project.resolved(settings), None, project, gpus)
    return {finding.code: finding for finding in findings if finding.code.startswith("memory-")}


def keep(project: Project, taken: dict[str, Any], **settings: object) -> None:
    memory_note.keep(project, project.resolved(settings), taken, "NVIDIA GeForce RTX 3060 (cuda:0)")


ALL_OFF: dict[str, object] = {
    "gradient_checkpointing": False,
    "cache_latents": False,
    "cache_text_encoder_outputs": False,
}


@pytest.mark.parametrize(
    ("taken", "mended"),
    [
        ({"batch_size": 1}, {"train_batch_size": 1, "gradient_accumulation_steps": 2}),
        ({"gradient_checkpointing": True}, {"gradient_checkpointing": True}),
        ({"offload": True}, {"cache_text_encoder_outputs": True, "cache_latents": True}),
        ({"vae_tile": 512}, {"cache_latents": True}),
        ({"bucket_limit": 512}, {"resolution": "512,512"}),
        ({"bucket_limit": 4096}, {}),
        ({"did_not_fit": True}, {"network_dim": 48}),
        ({}, {}),
        ({"unknown": 3}, {}),
    ],
)
def test_each_way_has_the_setting_that_saves_it(
    project: Project, taken: dict[str, Any], mended: dict[str, object]
) -> None:
    keep(project, taken, **ALL_OFF)
    findings = found(project, **ALL_OFF)
    assert {o: value for finding in findings.values() for o, value in finding.changes.items()} == mended
    for finding in findings.values():
        assert "ran out of memory on NVIDIA GeForce RTX 3060" in finding.message
        assert f"Set {finding.option} = " in finding.hint
        assert finding.stops_training() == (finding.code == "memory-did-not-fit")
        assert not finding.stops_training(accept_warnings=True)


def test_a_note_holds_for_its_settings_alone(project: Project) -> None:
    keep(project, {"batch_size": 1})
    assert "With 2 batches of one to a step" in found(project)["memory-batch-size"].message
    assert found(project, max_train_epochs=9, learning_rate=0.5)
    assert not found(project, network_dim=8)
    assert not found(project, train_batch_size=1)
    memory_note.forget(project, project.resolved({"network_dim": 8}))
    assert found(project)
    memory_note.forget(project, project.resolved())
    assert not found(project)


def test_what_is_followed_leaves_the_rest_of_the_note(project: Project) -> None:
    keep(project, {"batch_size": 1, "gradient_checkpointing": True, "offload": True}, **ALL_OFF)
    before = found(project, **ALL_OFF)
    assert len(before) == 4
    one = ALL_OFF | before["memory-batch-size"].changes
    assert set(found(project, **one)) == set(before) - {"memory-batch-size"}
    assert found(project, **one)["memory-checkpointing"] == before["memory-checkpointing"]
    two = one | before["memory-latents"].changes
    assert set(found(project, **two)) == {"memory-checkpointing", "memory-text-encoders"}
    assert not found(project, **two, train_unet=False, train_text_encoder_1=True)  # nobody advised that
    assert not found(project, **(one | {"train_batch_size": 3}))
    every = {name: value for finding in before.values() for name, value in finding.changes.items()}
    assert not found(project, **every)
    memory_note.forget(project, project.resolved(two))  # a training with these came to its end
    assert not found(project, **ALL_OFF)


def test_a_rank_that_was_halved_is_not_halved_again(project: Project) -> None:
    keep(project, {"did_not_fit": True, "gradient_checkpointing": True}, gradient_checkpointing=False)
    assert set(found(project, gradient_checkpointing=False, network_dim=48)) == {"memory-checkpointing"}
    assert set(found(project, gradient_checkpointing=True)) == {"memory-did-not-fit"}


@pytest.mark.parametrize("name", ["resolution", "train_batch_size", "attention"])
@pytest.mark.parametrize("value", ["x", None, [], -1, {"a": 1}])
def test_settings_in_a_note_that_make_no_sense_say_nothing(project: Project, name: str, value: Any) -> None:
    keep(project, {"batch_size": 1, "bucket_limit": 64})
    path = project.path / ".lora-tui" / memory_note.FILE
    note = json.loads(path.read_bytes())
    note["settings"][name] = value
    path.write_text(json.dumps(note))
    assert not found(project)


@pytest.mark.parametrize("change", [lambda n: "{", lambda n: [], lambda n: n | {"v": 9}, lambda n: n | {"taken": 4}])
def test_a_note_that_makes_no_sense_says_nothing(project: Project, change: Any) -> None:
    keep(project, {"batch_size": 1})
    path = project.path / ".lora-tui" / memory_note.FILE
    wrong = change(json.loads(path.read_bytes()))
    path.write_text(wrong if isinstance(wrong, str) else json.dumps(wrong))
    assert not found(project)


def test_a_device_with_a_wild_name_is_inert(project: Project) -> None:
    memory_note.keep(project, project.resolved(), {"batch_size": 1}, "\x1b[31m" + "x" * 500)
    message = found(project)["memory-batch-size"].message
    assert "\x1b" not in message
    assert len(message) < 400


# ------------------------------------------------------------------------------------------------- on another card
TAKEN = {"batch_size": 1, "did_not_fit": True}


def kept_on_a_t4(project: Project) -> None:
    memory_note.keep(project, project.resolved(), TAKEN, "Tesla T4 (cuda:0)", 15 * GIB)


@pytest.mark.parametrize(
    ("gpus", "said"),
    [
        (None, "stops"),  # nobody knows
        ([Gpu("Tesla T4", total_bytes=15 * GIB)], "stops"),
        ([Gpu("Tesla T4")], "stops"),
        ([Gpu("NVIDIA H100 80GB HBM3", total_bytes=80 * GIB), Gpu("Tesla T4", total_bytes=15 * GIB)], "stops"),
        ([Gpu("NVIDIA RTX A4000", total_bytes=16 * GIB)], "stops"),  # about as much
        ([Gpu("Tesla T4 XL", total_bytes=11 * GIB)], "told"),
        ([Gpu("Unknown")], "told"),
        ([Gpu("NVIDIA H100 80GB HBM3", total_bytes=80 * GIB)], "nothing"),
        ([Gpu("Tesla T4 XL", total_bytes=20 * GIB)], "nothing"),
        ([], "told"),  # on the processor
    ],
)
def test_a_note_stops_a_training_on_the_same_kind_of_card_alone(
    project: Project, gpus: list[Gpu] | None, said: str
) -> None:
    kept_on_a_t4(project)
    findings = found(project, gpus, num_processes=1)
    assert set(findings) == (set() if said == "nothing" else {"memory-batch-size", "memory-did-not-fit"})
    assert [code for code, one in findings.items() if one.stops_training()] == (
        ["memory-did-not-fit"] if said == "stops" else []
    )


def test_an_end_on_another_card_leaves_the_note(project: Project) -> None:
    kept_on_a_t4(project)
    memory_note.forget(project, project.resolved(), "NVIDIA H100 80GB HBM3 (cuda:0)")
    assert found(project)
    memory_note.forget(project, project.resolved(), "Tesla T4 (cuda:1)")
    assert not found(project)


def test_a_note_of_the_processor_holds_there(project: Project) -> None:
    memory_note.keep(project, project.resolved(), TAKEN, "CPU, 2 threads")
    assert found(project, [])["memory-did-not-fit"].stops_training()
    assert not found(project, [Gpu("Tesla T4", total_bytes=15 * GIB)])["memory-did-not-fit"].stops_training()


@pytest.mark.parametrize("total", ["x", -1, True, [], 1e400, None])
def test_a_size_of_a_card_that_makes_no_sense_is_unknown(project: Project, total: object) -> None:
    kept_on_a_t4(project)
    path = project.path / ".lora-tui" / memory_note.FILE
    path.write_text(json.dumps(json.loads(path.read_bytes()) | {"total_bytes": total}))
    assert not found(project, [Gpu("Other", total_bytes=15 * GIB)])["memory-did-not-fit"].stops_training()


# ------------------------------------------------------------------------------------------------ settings that save
@pytest.mark.parametrize(
    "saving",
    [
        {"optimizer_args": ["slice_p=11"]},
        {"use_ema": False},
        {"max_token_length": 75},
        {"scale_weight_norms": 0.0},
        {"allow_smaller_buckets": True},
        {"network_dropout": 0.0},
    ],
)
def test_settings_that_need_less_are_not_these_settings(project: Project, saving: dict[str, object]) -> None:
    much: dict[str, object] = {"use_ema": True, "max_token_length": 225, "scale_weight_norms": 1.0}
    much |= {"optimizer_args": ["weight_decay=0.01"], "network_dropout": 0.1}
    keep(project, {"did_not_fit": True}, **much)
    assert found(project, **much)
    assert not found(project, **(much | saving))


def test_smaller_pictures_that_were_allowed_since_leave_the_rest_of_the_note(project: Project) -> None:
    keep(project, TAKEN)
    assert set(found(project, allow_smaller_buckets=True)) == {"memory-batch-size"}
    keep(project, TAKEN, allow_smaller_buckets=True)
    assert len(found(project, allow_smaller_buckets=True)) == len(found(project)) == 2


def test_all_that_the_prediction_of_a_step_reads_is_compared() -> None:
    read: set[str] = set()

    class Watched(Settings):
        def __getattribute__(self, name: str) -> Any:
            read.add(name)
            return super().__getattribute__(name)

    varied: list[dict[str, object]] = [{}, {"cache_latents": False, "cache_text_encoder_outputs": False}]
    varied += [{"optimizer_type": name} for name in ("AdamW", "AdamW8bit", "Adafactor", "Lion")]
    varied += [{"conv_dim": 8, "train_text_encoder_1": True, "use_ema": True, "scale_weight_norms": 1.0}]
    for values in varied:
        settings = Watched.model_validate(to_dict(resolve(values)))
        read -= read
        bill_of(settings, Shapes(settings, None).batches(settings))
        rates = {"learning_rate", "unet_lr", "text_encoder_lr"}  # which are read with the parts that they are of
        samples = {name for name in read if name.startswith("sample_")}  # which end no training
        assert read & by_name().keys() - rates - samples <= set(memory_note.ASKED)
