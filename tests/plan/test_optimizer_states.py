"""Optimizers that are named by their classes keep what their names say."""

from __future__ import annotations

import pytest

from engine.plan.estimate import estimate
from engine.plan.memory_step import stays
from engine.plan.optimizer_states import counted_as
from engine.plan.settings import resolve
from lora_tui.estimate_texts import lines


def state(optimizer: str, *arguments: str) -> int:
    return stays(resolve({"optimizer_type": optimizer, "optimizer_args": list(arguments)}))["optimizer"]


ADAMW, LION = state("AdamW"), state("Lion")


@pytest.mark.parametrize(
    ("optimizer", "arguments", "as_much_as"),
    [
        ("bitsandbytes.optim.PagedAdamW8bit", [], state("AdamW8bit")),
        ("bitsandbytes.optim.Adam8bit", [], state("AdamW8bit")),
        ("bitsandbytes.optim.Lion8bit", [], state("AdamW8bit") // 2),
        ("bitsandbytes.optim.PagedLion8bit", [], state("AdamW8bit") // 2),
        ("bitsandbytes.optim.AdEMAMix8bit", [], state("AdamW8bit") * 3 // 2),
        ("bitsandbytes.optim.PagedAdamW", [], ADAMW),
        ("bitsandbytes.optim.AdamW32bit", [], ADAMW),
        ("torch.optim.AdamW", ["amsgrad=True"], state("AdamW", "amsgrad=True")),
        ("torch.optim.SGD", [], 0),
        ("torch.optim.SGD", ["momentum=0.9"], LION),
        ("torch.optim.RMSprop", ["momentum=0.9", "centered=True"], 3 * LION),
        ("lion_pytorch.Lion", [], LION),
        ("prodigyopt.Prodigy", ["slice_p=11"], state("Prodigy", "slice_p=11")),
        ("transformers.Adafactor", [], state("Adafactor")),
        ("somebody.Clever", [], ADAMW),
    ],
)
def test_a_class_is_known_by_its_name(optimizer: str, arguments: list[str], as_much_as: int) -> None:
    assert state(optimizer, *arguments) == pytest.approx(as_much_as, rel=0.001)


@pytest.mark.parametrize(
    ("optimizer", "said"),
    [
        ("somebody.Clever", "What Clever keeps is not known: it is counted as AdamW."),
        (
            "bitsandbytes.optim.PagedAdamW8bit",
            "PagedAdamW8bit may keep its states in the machine's memory; they are counted as on the GPU.",
        ),
        ("bitsandbytes.optim.Lion8bit", ""),
        ("torch.optim.SGD", ""),
        *[(known, "") for known in ("Prodigy", "AdamW", "AdamW8bit", "Adafactor", "Lion")],
    ],
)
def test_what_is_counted_as_something_else_is_said(optimizer: str, said: str) -> None:
    assert counted_as(optimizer) == said
    found = estimate(resolve({"optimizer_type": optimizer}), None, None)
    assert said in "\n".join(lines(found))
    assert found.as_json()["optimizer"] == (said or None)
