"""LoRA files of strangers: inspected, started from, or refused in a sentence."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save

from engine.lora import weights
from engine.lora.inspection import module_norm, report
from engine.lora.spellings import plainly, respelt
from engine.lora.start import start_from
from engine.lora.targets import Target
from engine.lora.weights import LoraFile
from engine.plan.errors import UserError
from tests.fuzz.nonsense import answer_of, tries

STEMS = (
    "lora_unet_input_blocks_4_1_proj_in",
    "lora_te1_text_model_encoder_layers_0_mlp_fc1",
    "x",
    "unet.a.b",
    "\x1b[2J",
)
ENDS = (
    ".lora_down.weight",
    ".lora_up.weight",
    ".alpha",
    ".lora_A.weight",
    ".lora_B.weight",
    ".lora.down.weight",
    ".lora.up.weight",
    ".hada_w1_a",
    ".dora_scale",
    "",
)
DTYPES = (torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.bool, torch.float8_e4m3fn)
VALUES = (0.0, 1.0, -2.0, float("nan"), float("inf"), 1e38)
METADATA = st.dictionaries(
    st.sampled_from(["lora_adapter_metadata", "ss_base_model_version", "ss_network_dim", "\x1b", "a"]),
    st.sampled_from(
        [
            "",
            "sdxl_base_v1-0",
            "{}",
            '{"unet.lora_alpha": 1e999}',
            '{"unet.lora_alpha": %s}' % ("9" * 400),
            '{"unet.lora_alpha": NaN}',
            "[" * 3000,
            '{"unet.lora_alpha": true}',
            "\x1b[2J",
        ]
    )
    | st.text(max_size=9),
    max_size=3,
)


@st.composite
def lora_files(draw: st.DrawFn) -> bytes:
    tensors: dict[str, torch.Tensor] = {}
    for _ in range(draw(st.integers(0, 6))):
        name = draw(st.sampled_from(STEMS)) + draw(st.sampled_from(ENDS))
        shape = draw(st.lists(st.integers(0, 3), max_size=4) | st.just([2, 2]) | st.just([]))
        tensors[name] = torch.full(shape, draw(st.sampled_from(VALUES)), dtype=torch.float32).to(
            draw(st.sampled_from(DTYPES))
        )
    content = save(tensors, draw(METADATA))
    if draw(st.integers(0, 3)):
        return content
    at = draw(st.integers(0, len(content)))
    return content[:at] + draw(st.binary(max_size=4)) + content[at + draw(st.integers(0, 9)) :]


class Network:
    """As much of one as a start looks at: two layers."""

    def __init__(self) -> None:
        self.modules = [
            SimpleNamespace(
                stem=stem,
                target=Target(part, stem.split("_", 2)[2], stem),
                rank=2,
                alpha=1.0,
                scale=0.5,
                down=torch.zeros(2, 2),
                up=torch.zeros(2, 2),
            )
            for stem, part in zip(STEMS, ("unet", "text_encoder_1"), strict=False)
        ]
        self.average = None


def inspected(path: Path) -> dict[str, Any]:
    """What the job does, without a run folder."""
    file = weights.read(path)
    plain = plainly(file)
    norms = [{"module": stem, "norm": module_norm(plain, stem)} for stem in plain.stems]
    return report(file, plain, norms)


@given(lora_files() | st.binary(max_size=60))
@tries(200)
def test_no_lora_file_makes_inspection_or_a_start_stumble(place: Path, content: bytes) -> None:
    path = place / "lora.safetensors"
    path.write_bytes(content)
    found = answer_of(lambda: inspected(path), place)
    if found is not None:
        json.dumps(found, allow_nan=False)
    answer_of(lambda: start_from(Network(), weights.read(path)), place)  # type: ignore[arg-type]


@given(METADATA)
@tries(100)
def test_no_metadata_makes_the_reading_of_names_stumble(metadata: dict[str, str]) -> None:
    tensors = {"unet.a.b.lora_A.weight": torch.ones(2, 2), "unet.a.b.lora_B.weight": torch.ones(2, 2)}
    file = LoraFile(tensors, metadata)
    assert plainly(file).stems == ["lora_unet_a_b"]
    assert respelt(file, [Target("unet", "a.b", "lora_unet_a_b")]).stems == ["lora_unet_a_b"]


def test_what_is_no_file_is_no_lora(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "gone", Path("/dev/zero")):
        with pytest.raises(UserError, match="There is no file"):
            weights.read(path)
