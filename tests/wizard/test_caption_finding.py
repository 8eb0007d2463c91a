"""Looking for a text, words or a pattern in captions while it is typed."""

from __future__ import annotations

import pytest

from engine.plan.errors import UserError
from lora_tui import caption_finding
from lora_tui.caption_finding import finding


def test_a_pattern_that_runs_away_is_named_as_it_was_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caption_finding, "FINDING_SECONDS", 0.05)
    with pytest.raises(UserError) as caught:
        finding("(a+)+$", "pattern")("a" * 1000 + "!")
    assert caught.value.code == "slow-pattern"
    assert 'The pattern "(a+)+$" takes too long' in caught.value.message


def test_the_keys_do_not_wait_as_long_for_it_as_a_replacement_may_take(monkeypatch: pytest.MonkeyPatch) -> None:
    given = []

    def replaced(find: str, by: str, **how: object) -> object:
        given.append(how["seconds"])
        return str

    monkeypatch.setattr(caption_finding, "replaced", replaced)
    finding("a", "pattern")
    assert given == [caption_finding.FINDING_SECONDS]
