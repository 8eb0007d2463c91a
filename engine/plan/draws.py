"""Random numbers without a history: each is a hash of the seed, what it is for, the optimizer step and the position."""

from __future__ import annotations

import hashlib
import struct

LIMIT = 2**63
"""Numbers drawn are below this one."""


def draw(seed: int, stream: str, step: int, position: int) -> int:
    """A number uniform in 0..2⁶³−1 for one purpose and one sample of one step: a hash, so it needs no history."""
    digest = hashlib.blake2b(struct.pack("<qqq", seed, step, position) + stream.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def happens(rate: float, seed: int, stream: str, step: int, position: int) -> bool:
    """True for a share of `rate`, 0..1, of all steps and positions."""
    return draw(seed, stream, step, position) < rate * LIMIT
