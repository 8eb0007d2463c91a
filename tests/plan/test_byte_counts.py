"""Counts of bytes in words."""

from __future__ import annotations

import pytest

from engine.plan.byte_counts import size


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (999.6, "1 kB"),
        (95_600, "96 kB"),
        (999_600, "1.0 MB"),
        (9_940_000, "9.9 MB"),
        (9_960_000, "10 MB"),
        (511_000_000, "511 MB"),
        (6_940_000_000, "6.9 GB"),
        (84_200_000_000, "84.2 GB"),
        (512e9, "512 GB"),
        (3.84e12, "3.8 TB"),
        (5e15, "5,000 TB"),
    ],
)
def test_three_digits_are_enough(count: float, said: str) -> None:
    assert size(count) == said
