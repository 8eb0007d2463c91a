"""Each option on which parts are trained does what its name says, in a real training."""

from __future__ import annotations

import pytest
import torch

from engine.lora.weights import LoraFile
from tests.training import Trained, Trainer


def parts(file: LoraFile) -> dict[str, int]:
    """Layers by part, of those that have learnt something."""
    learnt = [stem for stem in file.stems if file.tensors[f"{stem}.lora_up.weight"].any()]
    return {name: sum(stem.startswith(f"lora_{name}_") for stem in learnt) for name in ("unet", "te1", "te2")}


def ups(file: LoraFile, prefix: str) -> float:
    """How large all ups of a part are together; they start at zero."""
    found = [t.square().sum() for name, t in file.tensors.items() if name.startswith(prefix) and "lora_up" in name]
    return float(torch.stack(found).sum().sqrt())


def test_option_train_unet(train: Trainer, plain: Trained) -> None:
    run = train(train_unet=False, train_text_encoder_1=True)
    assert parts(plain.lora)["unet"] == 124
    found = parts(run.lora)
    assert (found["unet"], found["te2"]) == (0, 0)
    assert found["te1"] > 0
    assert {stem.split("_")[1] for stem in run.lora.stems} == {"te1"}
    assert run.losses[0] == pytest.approx(plain.losses[0], rel=1e-5)  # nothing has changed before the first step
    assert (run.lora.metadata["ss_unet_lr"], run.lora.metadata["ss_text_encoder_lr"]) == ("None", "0.001")


@pytest.mark.parametrize("checkpointing", [False, True])
def test_option_train_text_encoder_1(train: Trainer, plain: Trained, checkpointing: bool) -> None:
    run = train(train_text_encoder_1=True, gradient_checkpointing=checkpointing)
    found = parts(run.lora)
    assert (found["unet"], found["te2"]) == (124, 0)
    assert all(stem.startswith("lora_te1_text_model_encoder_layers_") for stem in run.lora.stems if "_te1_" in stem)
    depth = 1 + max(int(stem.split("_layers_")[1].split("_")[0]) for stem in run.lora.stems if "_te1_" in stem)
    assert found["te1"] == 6 * (depth - 1)  # SDXL takes the last but one layer's output: the last one learns nothing
    assert run.losses[0] == pytest.approx(plain.losses[0], rel=1e-5)
    assert run.losses[-1] != plain.losses[-1]


def test_option_train_text_encoder_2(train: Trainer, plain: Trained) -> None:
    run = train(train_text_encoder_2=True)
    found = parts(run.lora)
    assert (found["unet"], found["te1"]) == (124, 0)
    assert found["te2"] == sum("_te2_" in stem for stem in run.lora.stems)  # its last layer makes the pooled output
    assert run.losses[0] == pytest.approx(plain.losses[0], rel=1e-5)


def test_what_trained_encoders_say_stays_out_of_the_cache(train: Trainer) -> None:
    """A LoRA's encodings under the base model's name would spoil every later training."""
    project = train.project()
    (project / "cache").unlink(missing_ok=True)
    run = train(
        project, train_text_encoder_1=True, train_text_encoder_2=True, sample_every_n_steps=1, sample_prompts=["a man"]
    )
    assert len(run.of("sample")) == 3
    assert not list((project / "cache").glob("texts/*"))


def test_samples_are_drawn_with_the_encoders_as_they_are(train: Trainer) -> None:
    options = {
        "train_unet": False,
        "train_text_encoder_1": True,
        "sample_every_n_steps": 1,
        "sample_prompts": ["a man"],
    }
    run = train(**options, learning_rate=0.5, sample_at_first=True)
    pictures = [(run.run.path / event["path"]).read_bytes() for event in run.of("sample")]
    assert len(set(pictures)) == len(pictures) == 4
