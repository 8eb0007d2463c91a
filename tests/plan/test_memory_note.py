"""What the last training had to do without is told to the next one with the same settings, with the line that helps."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.plan import memory_note
from engine.plan.checks import check_settings
from engine.plan.errors import Finding
from engine.plan.project import Project


def found(project: Project, **settings: object) -> dict[str, Finding]:
    findings = check_settings(project.resolved(settings), None, project)
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
