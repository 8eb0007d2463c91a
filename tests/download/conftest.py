"""A server, a state folder of each test's own, and a small file that passes for an SDXL model."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.download.server import Server, serving

UNET = "model.diffusion_model."
SDXL = {
    UNET + "input_blocks.0.0.weight": (32, 4, 3, 3),
    "first_stage_model.encoder.conv_in.weight": (2, 3, 3, 3),
    "conditioner.embedders.0.transformer.text_model.embeddings.token_embedding.weight": (4, 2),
    "conditioner.embedders.1.model.transformer.resblocks.0.ln_1.weight": (2,),
    "filler": (1_500_000,),
}


def safetensors(shapes: dict[str, tuple[int, ...]], fill: bytes = b"\0") -> bytes:
    """The bytes of a file with these fp16 tensors."""
    table, end = {}, 0
    for name, shape in shapes.items():
        table[name] = {"dtype": "F16", "shape": shape, "data_offsets": [end, end := end + 2 * math.prod(shape)]}
    header = json.dumps(table).encode()
    return len(header).to_bytes(8, "little") + header + fill * end


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    for name in ("HF_TOKEN", "CIVITAI_TOKEN", "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with serving() as running:
        yield running


@pytest.fixture(scope="session")
def model() -> bytes:
    return safetensors(SDXL)
