"""What a key may cost where there are many pictures: judged by what is done and sent, not by the clock."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest
from textual.pilot import Pilot

from engine.plan import captions
from lora_tui.screens.wizard_page import WizardPage
from tests.screens.test_wizard import drive, folder, own_state, press, said  # noqa: F401


@pytest.mark.parametrize("step", ["2", "4", "6"])
def test_keys_do_not_judge_the_steps_anew(folder: Path, step: str, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    """Each judgement goes through all the captions."""
    judged: Counter[str] = Counter()
    has_word = captions.has_word

    def counted(text: str, word: str) -> bool:
        judged[text] += 1
        return has_word(text, word)

    async def act(pilot: Pilot[None]) -> None:
        monkeypatch.setattr("lora_tui.steps.has_word", counted)
        await press(pilot, step, *["down", "up"] * 5)
        assert judged == {}
        await press(pilot, "2", "space")
        assert set(judged.values()) == {1}  # once for the survey that it brought

    drive(folder, act)


def test_how_far_a_check_is_changes_one_line_and_asks_for_nothing_else(
    folder: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "2")
        wizard = pilot.app.pages.wizard  # type: ignore[attr-defined]
        monkeypatch.setattr(WizardPage, "show_all", lambda page: pytest.fail("the whole page was worked out anew"))
        wizard._told(200, 10_000)
        await asyncio.sleep(0.05)
        assert said(pilot)[1] == "Looking at the pictures: 200 of 10,000…"
        monkeypatch.undo()

    drive(folder, act)
