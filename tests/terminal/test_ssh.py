"""Over a real OpenSSH server: connections are lost in every way there is, and no training notices."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import ssh

pytestmark = pytest.mark.proof


def test_a_training_outlives_its_connection(tmp_path: Path) -> None:
    if why := ssh.install():
        pytest.skip(why)
    outcomes = ssh.campaign(tmp_path / "lost")
    assert len(outcomes) == len(ssh.LOSSES) + 1
    assert {outcome.how: outcome.wrong for outcome in outcomes if outcome.wrong} == {}
    assert max(outcome.gone_seconds for outcome in outcomes) < 20.0
    assert all(outcome.steps_after for outcome in outcomes)
