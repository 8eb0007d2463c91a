"""Options of small cards: how the base model is kept, and what calculates its attention, in a real training."""

from __future__ import annotations

import pytest

from tests.training import NF4, Trained, Trainer, apart


@pytest.mark.parametrize("how", ["fp8", NF4])
def test_option_base_weights(train: Trainer, plain: Trained, how: str) -> None:
    """The same training on a coarser model: what is learnt is a little different, in a file of the same layers."""
    run = train(base_weights=how)
    assert run.end["status"] == "finished", run.end
    assert run.losses == pytest.approx(plain.losses, rel=0.01)
    assert run.losses != plain.losses
    assert 0.02 < apart(plain.lora, run.lora) < 0.6
    assert {name: t.shape for name, t in run.lora.tensors.items()} == {
        name: t.shape for name, t in plain.lora.tensors.items()
    }
    assert run.lora.metadata["ss_fp8_base_unet"] == str(how == "fp8")
    assert not run.warnings  # the file was read back, and does what was trained


def test_option_attention(train: Trainer) -> None:
    """xformers itself needs a card; that it is given the right numbers: tests/models/test_attention."""
    run = train(attention="xformers")
    assert run.end["status"] == "failed"
    assert run.end["code"] in ("xformers-not-installed", "bad-attention")
    assert 'attention = "sdpa"' in run.end["hint"]
    assert "loading the base model" not in {phase["name"] for phase in run.of("phase")}
    assert train(attention="sdpa").end["status"] == "finished"
