"""Memory that runs out in the middle of a training: it goes on with less, learns the same, and says what it did."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from diffusers import UNet2DConditionModel
from prodigyopt import Prodigy
from torch import Tensor

import engine.train.loop as loop_module
from engine.lora import norms
from engine.plan.memory_note import DID_NOT_FIT
from engine.runs.fold import fold
from engine.runs.resume import prepare
from engine.train import optimizers
from engine.train.meter import Meter
from tests.training import Trained, Trainer, apart, ask_to_stop, same

EVERYTHING: dict[str, Any] = {
    "max_train_epochs": 2,
    "noise_offset": 0.1,
    "caption_dropout_rate": 0.3,
    "network_dropout": 0.2,
    "rank_dropout": 0.2,
    "module_dropout": 0.2,
    "flip_aug": True,
    "min_snr_gamma": 5.0,
    "scale_weight_norms": 1.0,
    "use_ema": True,
}
PRODIGY: dict[str, Any] = {
    "optimizer_type": "Prodigy",
    "optimizer_args": ("weight_decay=0.01", "decouple=True", "d0=0.0001", "use_bias_correction=True"),
    "learning_rate": 1.0,
}
ADAMW: dict[str, Any] = {"optimizer_type": "AdamW", "optimizer_args": (), "learning_rate": 1e-3}
PRESERVED: dict[str, Any] = {"diff_output_preservation_multiplier": 1.0, "validation_split": 0.25}
TORCH = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
CUBLAS = RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")


def too_much(*_: object, **__: object) -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.\nSee documentation.")


@pytest.fixture
def unet(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Any, int], bool]], list[int]]:
    """`unet(fits)`: from now on a training's forward pass runs out of memory where not `fits(unet, batch size)`. Gives
    the sizes that were too large."""
    original = UNet2DConditionModel.forward

    def limit(fits: Callable[[Any, int], bool]) -> list[int]:
        refused: list[int] = []

        def forward(self: Any, noisy: Tensor, *rest: Any, **more: Any) -> Any:
            if torch.is_grad_enabled() and not fits(self, len(noisy)):
                refused.append(len(noisy))
                too_much()
            return original(self, noisy, *rest, **more)

        monkeypatch.setattr(UNet2DConditionModel, "forward", forward)
        return refused

    return limit


def changes(run: Trained) -> list[tuple[int, dict[str, Any]]]:
    return [(event["step"], event["change"]) for event in run.of("oom")]


def finished(run: Trained) -> Trained:
    assert run.end["status"] == "finished", run.end
    return run


def steps(run: Trained) -> list[tuple[int, int, int]]:
    return [(event["step"], event["epoch"], event["epoch_step"]) for event in run.of("step")]


# ------------------------------------------------------------------------------------------- one picture at a time
@pytest.mark.parametrize(
    ("values", "reg"),
    [
        pytest.param({"train_batch_size": 2} | PRODIGY, False, marks=pytest.mark.proof),
        pytest.param(
            {"train_batch_size": 3, "gradient_accumulation_steps": 2} | PRESERVED, False, marks=pytest.mark.proof
        ),
        ({"train_batch_size": 2, "gradient_accumulation_steps": 2, "prior_loss_weight": 0.5} | PRODIGY, True),
        pytest.param({"train_batch_size": 3}, True, marks=pytest.mark.proof),
    ],
)
def test_a_batch_that_does_not_fit_is_computed_one_by_one_and_learns_the_same(
    train: Trainer, unet: Any, monkeypatch: pytest.MonkeyPatch, values: dict[str, Any], reg: bool
) -> None:
    seen: list[list[int]] = []
    add = Meter.add
    monkeypatch.setattr(Meter, "add", lambda self, facts: (seen.append(list(facts.samples)), add(self, facts))[1])
    whole = finished(train(reg=reg, repeats=2, **EVERYTHING | values))
    in_whole, seen[:] = list(seen), []
    refused = unet(lambda _, size: size == 1)
    split = finished(train(reg=reg, repeats=2, **EVERYTHING | values))

    assert len(refused) == 2  # tried twice, and then never again
    first = changes(split)[0][0]
    assert changes(split) == [(first, {"repeated": True}), (first, {"batch_size": 1})]
    assert steps(split) == steps(whole)
    assert seen == in_whole
    assert split.losses == pytest.approx(whole.losses, rel=1e-4)
    assert apart(split.lora, whole.lora) < 1e-3
    checked = [[event["loss"] for event in run.of("validation")] for run in (split, whole)]
    assert checked[0] == pytest.approx(checked[1], rel=1e-4)


# ------------------------------------------------------------------------------------------------- wherever it fails
def fails_at(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, call: int, error: Exception, after: bool) -> None:
    """The `call`-th call of `owner.name` raises `error`, before or after it has done its work."""
    original, count = getattr(owner, name), 0

    def failing(*arguments: Any, **more: Any) -> Any:
        nonlocal count
        count += 1
        if count == call and not after:
            raise error
        result = original(*arguments, **more)
        if count == call:
            raise error
        return result

    monkeypatch.setattr(owner, name, failing)


@pytest.fixture(scope="module")
def undisturbed(train: Trainer) -> Trained:
    """Six steps with everything that a repeated step could do twice."""
    return finished(train(**EVERYTHING | PRODIGY | {"gradient_accumulation_steps": 1}))


@pytest.mark.parametrize(
    ("owner", "name", "after", "error"),
    [
        (UNet2DConditionModel, "forward", False, CUBLAS),
        (Accelerator, "backward", True, TORCH),
        pytest.param(Accelerator, "clip_grad_norm_", True, TORCH, marks=pytest.mark.proof),
    ],
)
def test_a_step_that_failed_once_is_repeated_to_the_bit(
    train: Trainer,
    undisturbed: Trained,
    monkeypatch: pytest.MonkeyPatch,
    owner: Any,
    name: str,
    after: bool,
    error: Exception,
) -> None:
    fails_at(monkeypatch, owner, name, 3, error, after)
    run = finished(train(**EVERYTHING | PRODIGY))
    assert changes(run) == [(3, {"repeated": True})]
    assert run.losses == undisturbed.losses
    assert same(run.lora, undisturbed.lora)
    assert "Memory" not in run.end["message"]


@pytest.mark.parametrize(
    ("owner", "name", "call", "every", "back_to"),
    [
        (Prodigy, "step", 1 + 1, 0, None),  # its very first step of the training, after the one that tries it out
        pytest.param(Prodigy, "step", 1 + 4, 0, 0, marks=pytest.mark.proof),
        (Prodigy, "step", 1 + 4, 2, 2),
        pytest.param(Prodigy, "step", 1 + 5, 2, None, marks=pytest.mark.proof),  # a checkpoint was written just before
        (norms, "_norms", 3, 0, None),
    ],
)
def test_an_optimizer_that_failed_half_way_is_taken_back(
    train: Trainer,
    undisturbed: Trained,
    monkeypatch: pytest.MonkeyPatch,
    owner: Any,
    name: str,
    call: int,
    every: int,
    back_to: int | None,
) -> None:
    """It fails when all its work is done: as far as can be from the state before it."""
    if owner is norms:
        monkeypatch.setattr(norms, "_all_within", lambda *_: False)
    fails_at(monkeypatch, owner, name, call, TORCH, after=True)
    run = finished(train(**EVERYTHING | PRODIGY | {"checkpoint_every_n_steps": every}))
    assert [change for _, change in changes(run)] == [{"repeated": True}]
    assert [event["from_step"] for event in run.of("resumed")] == ([] if back_to is None else [back_to])
    told: dict[int, float] = {event["step"]: event["loss"] for event in run.of("step")}
    assert list(told.values()) == undisturbed.losses
    assert same(run.lora, undisturbed.lora)
    assert [saved.path for saved in fold(run.events).saved] == [saved.path for saved in fold(undisturbed.events).saved]


@pytest.mark.parametrize(
    ("values", "every", "back_to"),
    [
        pytest.param(ADAMW, 0, 0, id="AdamW", marks=pytest.mark.proof),
        pytest.param(ADAMW, 2, 2, id="AdamW 2"),
        pytest.param(PRODIGY, 2, 2, id="Prodigy", marks=pytest.mark.proof),
    ],
)
def test_an_optimizer_that_had_moved_some_of_its_pieces_is_taken_back(
    train: Trainer,
    monkeypatch: pytest.MonkeyPatch,
    before_call: Any,
    values: dict[str, Any],
    every: int,
    back_to: int,
) -> None:
    """It fails at the fourth piece of the fourth step: three have new weights, the fourth has new averages."""
    monkeypatch.setattr(optimizers, "PIECE", 2_000)
    values = EVERYTHING | values | {"checkpoint_every_n_steps": every}
    undisturbed = finished(train(**values))
    original, moved = Tensor.addcdiv_, [math.inf]  # with which each of them writes a piece's weights

    def failing(self: Tensor, *arguments: Any, **more: Any) -> Tensor:
        moved[0] += 1
        if moved[0] == 4:
            too_much()
        return original(self, *arguments, **more)

    monkeypatch.setattr(Tensor, "addcdiv_", failing)
    before_call(loop_module, "train_step", {4: lambda: moved.__setitem__(0, 0)})
    run = finished(train(**values))
    assert moved[0] > 4 * 6  # a step has more pieces than were done, and more steps were done since then
    assert changes(run) == [(4, {"repeated": True})]
    assert [event["from_step"] for event in run.of("resumed")] == [back_to]
    told: dict[int, float] = {event["step"]: event["loss"] for event in run.of("step")}
    assert list(told.values()) == undisturbed.losses
    assert same(run.lora, undisturbed.lora)


# ---------------------------------------------------------------------------------------------------- and then less
def test_gradient_checkpointing_comes_after_single_pictures(train: Trainer, unet: Any, plain: Trained) -> None:
    refused = unet(lambda model, size: size == 1 and model.is_gradient_checkpointing)
    run = finished(train())
    assert refused == [2, 2, 1] or refused == [1, 1]
    assert [change for _, change in changes(run)][1:] == [{"batch_size": 1}, {"gradient_checkpointing": True}]
    assert apart(run.lora, plain.lora) < 1e-4
    assert json.loads(run.run.result_path.read_bytes())["memory"] == {"batch_size": 1, "gradient_checkpointing": True}
    assert "one picture at a time and gradient checkpointing" in run.end["message"]
    messages = [event["message"] for event in run.of("oom")]
    assert all("\n" not in message and message.endswith(".") for message in messages)


SMALLER: dict[str, Any] = {"allow_smaller_buckets": True, "train_batch_size": 1, "gradient_checkpointing": True}


@pytest.fixture
def roomy(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], list[tuple[int, int]]]:
    """`roomy(cells)`: from now on a training's forward pass runs out of memory with latents of more cells. Gives the
    shapes of those that it computes."""
    original = UNet2DConditionModel.forward

    def limit(cells: int) -> list[tuple[int, int]]:
        shapes: list[tuple[int, int]] = []

        def forward(self: Any, noisy: Tensor, *rest: Any, **more: Any) -> Any:
            if torch.is_grad_enabled():
                if noisy[0, 0].numel() > cells:
                    too_much()
                shapes.append((noisy.shape[-2], noisy.shape[-1]))
            return original(self, noisy, *rest, **more)

        monkeypatch.setattr(UNet2DConditionModel, "forward", forward)
        return shapes

    return limit


@pytest.mark.parametrize("values", [{}, {"cache_latents": False, "cache_text_encoder_outputs": False}])
def test_option_allow_smaller_buckets(
    train: Trainer, roomy: Any, monkeypatch: pytest.MonkeyPatch, values: dict[str, Any]
) -> None:
    """The same pictures in the same steps and order; a batch of two stays one of two."""
    seen: list[list[int]] = []
    add = Meter.add
    monkeypatch.setattr(Meter, "add", lambda self, facts: (seen.append(list(facts.samples)), add(self, facts))[1])
    values = SMALLER | values | {"max_train_epochs": 3, "validation_split": 0.25, "flip_aug": True}
    whole = finished(train(**values))
    in_whole, seen[:] = list(seen), []
    roomy(6 * 6)
    run = finished(train(**values))
    told = [change for _, change in changes(run)]
    assert told[0] == {"repeated": True}
    assert told[-1] == {"bucket_limit": 48}
    assert steps(run) == steps(whole)
    assert seen == in_whole
    assert all(math.isfinite(loss) for loss in run.losses)
    assert "smaller pictures" in run.end["message"]
    assert run.of("oom")[-1]["message"].endswith("about 48 × 48 pixels at most, as it was allowed.")
    note = json.loads((run.run.path.parents[1] / ".lora-tui" / "memory.json").read_bytes())
    assert note["taken"]["bucket_limit"] == 48


def test_pictures_become_smaller_twice_before_it_is_given_up(train: Trainer, roomy: Any) -> None:
    shapes = roomy(4 * 4)
    run = finished(train(**SMALLER))
    assert [change for _, change in changes(run)] == [{"repeated": True}, {"bucket_limit": 48}, {"bucket_limit": 32}]
    assert set(shapes) <= {(4, 4), (4, 2), (2, 4)}
    roomy(1)
    failed = train(**SMALLER)
    assert failed.end["code"] == "out-of-memory"
    assert "It was tried with smaller pictures, too." in failed.end["message"]
    assert "allow_smaller" not in failed.end["hint"]


def test_a_run_with_smaller_pictures_goes_on_as_if_it_had_not_been_stopped(
    train: Trainer, roomy: Any, before_call: Any
) -> None:
    values = EVERYTHING | PRODIGY | SMALLER | {"checkpoint_every_n_steps": 2}
    roomy(6 * 6)
    unstopped = finished(train(**values))
    project = train.project()
    before_call(loop_module, "train_step", {9: ask_to_stop})
    stopped = train(project, **values)
    assert stopped.end["status"] == "stopped"
    prepare(stopped.run)
    run = finished(train.do(stopped.run, project))
    assert [change for _, change in changes(run)].count({"bucket_limit": 48}) == 1
    assert same(run.lora, unstopped.lora)


def test_a_run_that_nothing_helped_goes_on_once_smaller_pictures_are_allowed(train: Trainer, roomy: Any) -> None:
    project = train.project()
    roomy(6 * 6)
    run = train(project, **SMALLER | {"allow_smaller_buckets": False})
    assert run.end["code"] == "out-of-memory"
    assert "allow_smaller_buckets=true" in run.end["hint"]
    prepare(run.run, {"allow_smaller_buckets": True})
    again = finished(train.do(run.run, project))
    assert {"bucket_limit": 48} in [change for _, change in changes(again)]


def test_text_encoders_and_vae_leave_the_card_last_and_change_nothing(
    train: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {"cache_latents": False, "cache_text_encoder_outputs": False, "train_batch_size": 1}
    values |= {"gradient_checkpointing": True, "caption_dropout_rate": 0.3, "max_train_epochs": 2, "flip_aug": True}
    whole = finished(train(**values))
    for call in (2, 3):
        fails_at(monkeypatch, loop_module, "denoising_loss", call, torch.OutOfMemoryError("too much"), after=True)
    run = finished(train(**values))
    assert changes(run) == [(2, {"repeated": True}), (2, {"offload": True})]
    assert run.losses == whole.losses
    assert same(run.lora, whole.lora)
    assert "the text encoders and the VAE are on the card only while they work" in run.of("oom")[1]["message"]


@pytest.mark.parametrize(
    ("texts", "vae", "words", "short"),
    [
        (False, True, "the VAE is on the card only while it works;", "the VAE off the card between its uses"),
        (
            True,
            False,
            "the text encoders are on the card only while they work;",
            "the text encoders off the card between their uses",
        ),
        (
            True,
            True,
            "the text encoders and the VAE are on the card only while they work;",
            "the text encoders and VAE off the card between their uses",
        ),
    ],
)
def test_only_what_was_on_the_card_is_said_to_leave_it(
    train: Trainer, monkeypatch: pytest.MonkeyPatch, texts: bool, vae: bool, words: str, short: str
) -> None:
    values = {"cache_latents": not vae, "cache_text_encoder_outputs": not texts, "train_batch_size": 1}
    for call in (2, 3):
        fails_at(monkeypatch, loop_module, "denoising_loss", call, torch.OutOfMemoryError("too much"), after=True)
    run = finished(train(**values, gradient_checkpointing=True))
    assert f"From now on {words}" in run.of("oom")[1]["message"]
    assert f"so it went on with {short}." in run.of("end")[-1]["message"]


def test_when_nothing_helps_all_that_was_learnt_is_saved_and_the_next_one_is_warned(
    train: Trainer, unet: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = train.project()
    undisturbed = finished(train(**PRODIGY))
    with monkeypatch.context() as short:
        count = 0

        def third_step(*_: object) -> bool:
            nonlocal count
            count += 1
            return count <= 2

        original = UNet2DConditionModel.forward

        def forward(self: Any, noisy: Tensor, *rest: Any, **more: Any) -> Any:
            return original(self, noisy, *rest, **more) if third_step() else too_much()

        short.setattr(UNet2DConditionModel, "forward", forward)
        run = train(project, **PRODIGY)
    assert (run.end["status"], run.end["code"], run.code) == ("failed", "out-of-memory", 1)
    assert "everything up to step 2 is saved" in run.end["message"]
    assert [event["step"] for event in run.of("checkpoint")] == [2]
    note = json.loads((project / ".lora-tui" / "memory.json").read_bytes())
    assert note["taken"] == {"batch_size": 1, "gradient_checkpointing": True, DID_NOT_FIT: True}

    prepare(run.run)
    again = finished(train.do(run.run, project))
    assert apart(again.lora, undisturbed.lora) < 1e-4
    assert json.loads(again.run.result_path.read_bytes())["memory"] == {"batch_size": 1, "gradient_checkpointing": True}


@pytest.mark.parametrize("most", [pytest.param(1, marks=pytest.mark.proof), 0])
def test_a_validation_that_does_not_fit_takes_single_pictures_or_is_left_out(
    train: Trainer, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    values = {"validation_split": 0.5, "max_train_epochs": 2}
    whole = finished(train(**values))
    original = UNet2DConditionModel.forward

    def forward(self: Any, noisy: Tensor, *rest: Any, **more: Any) -> Any:
        if not self.training and len(noisy) > most:
            too_much()
        return original(self, noisy, *rest, **more)

    monkeypatch.setattr(UNet2DConditionModel, "forward", forward)
    run = finished(train(**values))
    assert same(run.lora, whole.lora)
    assert [change for _, change in changes(run)] == [{"validation_batch_size": 1}]
    losses = [[event["loss"] for event in each.of("validation")] for each in (run, whole)]
    if most:
        assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    else:
        assert losses[0] == []
        assert "after step" in run.warnings["validation-failed"]
        assert "too little memory to try it out" in run.warnings["lora-unchecked"]


# -------------------------------------------------------------------------------------------------------- going on
def test_a_resumed_run_begins_with_less_and_gives_what_an_unstopped_one_does(
    train: Trainer, unet: Any, before_call: Any
) -> None:
    values = EVERYTHING | PRODIGY | {"checkpoint_every_n_steps": 2}
    refused = unet(lambda _, size: size == 1)
    unstopped = finished(train(**values))
    project = train.project()
    before_call(loop_module, "train_step", {7: ask_to_stop})
    stopped = train(project, **values)
    assert stopped.end["status"] == "stopped"
    refused.clear()
    prepare(stopped.run)
    run = finished(train.do(stopped.run, project))
    assert refused == []
    assert same(run.lora, unstopped.lora)
    told: dict[int, float] = {event["step"]: event["loss"] for event in run.of("step")}
    assert list(told.values()) == unstopped.losses


def test_a_training_that_fits_takes_the_note_back(train: Trainer, unet: Any, tmp_path: Path) -> None:
    project = train.project()
    unet(lambda _, size: size == 1)
    finished(train(project))
    note = project / ".lora-tui" / "memory.json"
    assert json.loads(note.read_bytes())["taken"] == {"batch_size": 1}
    unet(lambda *_: True)
    finished(train(project, network_dim=2))
    assert note.exists()  # of other settings it says nothing
    finished(train(project))
    assert not note.exists()
