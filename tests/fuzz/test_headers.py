"""Headers of safetensors files and configurations of models: lies, nonsense and damage are refused in a sentence."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.plan.base_model import recognise
from engine.plan.errors import UserError
from engine.plan.safetensors_header import MAX_HEADER_BYTES, Tensor, read_header
from engine.plan.vae import recognise_vae
from tests.fuzz.nonsense import answer_of, tries

NAMES = [
    "a",
    "lora_unet_x.lora_down.weight",
    "model.diffusion_model.input_blocks.0.0.weight",
    "first_stage_model.encoder.down.0.block.0.conv1.weight",
    "decoder.conv_in.weight",
    "encoder.down.0.block.0.conv1.weight",
    "conditioner.embedders.0.transformer.text_model.x",
    "conditioner.embedders.1.model.x",
    "v_pred",
    "ztsnr",
    "__metadata__",
    "\x1b[2J\u202e\n",
    "\ud800",
]
NUMBERS: st.SearchStrategy[Any] = (
    st.integers(-4, 40)
    | st.sampled_from([2**31, 2**63, 2**64, 10**30, -(2**63), 0.5, 1e308, float("inf"), float("nan"), True])
    | st.just("3")
)
SCALARS: st.SearchStrategy[Any] = st.none() | NUMBERS | st.text(max_size=6) | st.sampled_from(["F16", "F32", "U8"])
ANYTHING: st.SearchStrategy[Any] = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3)
)
ENTRIES = st.fixed_dictionaries(
    {},
    optional={
        "dtype": st.sampled_from(["F16", "F32", "BF16", "F8_E4M3", "C64", "F4", "nonsense"]) | ANYTHING,
        "shape": st.lists(NUMBERS, max_size=5) | ANYTHING,
        "data_offsets": st.tuples(NUMBERS, NUMBERS) | ANYTHING,
    },
)
TABLES = st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=5), ENTRIES | ANYTHING, max_size=6) | ANYTHING


@st.composite
def fitting(draw: st.DrawFn) -> bytes:
    """A whole file of a few tensors, such as no model has: everything in it is in order but for what it is."""
    table: dict[str, Any] = {}
    end = 0
    for name in draw(st.lists(st.sampled_from(NAMES[:10]) | st.text(max_size=4), max_size=8, unique=True)):
        shape = draw(st.lists(st.integers(0, 3), max_size=4))
        size = 2
        for side in shape:
            size *= side
        table[name] = {"dtype": "F16", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    data = json.dumps(table).encode()
    return len(data).to_bytes(8, "little") + data + bytes(end)


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """Bytes that are more or less like a safetensors file."""
    if draw(st.booleans()):
        whole = draw(fitting())
    else:
        data = json.dumps(draw(TABLES)).encode()
        data = data.replace(b"\\ud800", draw(st.sampled_from([b"\\ud800", b"\xff", b"\0"])))
        length = draw(
            st.just(len(data)) | st.integers(0, 2 * len(data) + 9) | st.sampled_from([2**63, 2**64 - 1, 10**8])
        )
        whole = length.to_bytes(8, "little") + data + draw(st.binary(max_size=64))
    if draw(st.integers(0, 3)):
        return whole
    at = draw(st.integers(0, len(whole)))
    return whole[:at] + draw(st.binary(max_size=4)) + whole[at + draw(st.integers(0, 9)) :]


@given(files())
@tries(200)
def test_no_file_makes_a_reader_of_models_stumble(place: Path, content: bytes) -> None:
    path = place / "model.safetensors"
    path.write_bytes(content)
    header = answer_of(lambda: read_header(path), place)
    if header is not None:
        for tensor in header[0].values():
            assert isinstance(tensor, Tensor)
            assert all(type(side) is int and side >= 0 for side in tensor.shape)
    assert answer_of(lambda: recognise(path), place) is None  # none of them is a whole SDXL model
    answer_of(lambda: recognise_vae(str(path)), place)


@pytest.mark.parametrize(
    "table",
    [
        {"a": {"dtype": "F16", "shape": [1, float("inf")], "data_offsets": [0, 2]}},
        {"a": {"dtype": "F16", "shape": [-1, -1], "data_offsets": [0, 2]}},
        {"a": {"dtype": "F16", "shape": [True], "data_offsets": [0, 2]}},
        {"a": {"dtype": "F16", "shape": "1", "data_offsets": [0, 2]}},
        {"a": {"dtype": "X", "shape": [1], "data_offsets": [0.0, 2.0]}},
        {
            "a": {"dtype": "X", "shape": [1], "data_offsets": [0, 2]},
            "b": {"dtype": "X", "shape": [1], "data_offsets": [0, 2]},
        },
        {
            "a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]},
            "b": {"dtype": "U8", "shape": [1], "data_offsets": [1, 2]},
            "c": {"dtype": "U8", "shape": [0], "data_offsets": [1, 1]},
            "d": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]},
            "e": 1,
        },
        {"a": {"dtype": "F16", "shape": [2**62] * 60, "data_offsets": [0, 2]}},
        {"a": {"dtype": "X", "shape": [10] * 100_000, "data_offsets": [0, 2]}},
        {"a": {"dtype": "F16", "shape": [1], "data_offsets": [2, 0]}},
        {"__metadata__": [1, 2]},
        [],
    ],
)
def test_a_header_that_lies_is_damage(place: Path, table: object) -> None:
    data = json.dumps(table).encode()
    (place / "model.safetensors").write_bytes(len(data).to_bytes(8, "little") + data + b"12")
    with pytest.raises(UserError, match="is damaged: its list of contents cannot be read"):
        read_header(place / "model.safetensors")


@pytest.mark.parametrize("data", [b"[" * 100_000, b'{"a":' * 100_000, b"1" * 5000, b"\xff" * 20, b"{}x", b""])
def test_a_header_that_is_no_json_is_damage(place: Path, data: bytes) -> None:
    (place / "model.safetensors").write_bytes(len(data).to_bytes(8, "little") + data)
    with pytest.raises(UserError, match="is damaged: its list of contents cannot be read"):
        read_header(place / "model.safetensors")


@pytest.mark.parametrize("length", [MAX_HEADER_BYTES + 1, 2**63, 2**64 - 1])
def test_a_header_that_says_it_is_huge_is_not_read(place: Path, length: int) -> None:
    (place / "model.safetensors").write_bytes(length.to_bytes(8, "little") + b"{}")
    with pytest.raises(UserError, match="is not a safetensors file"):
        read_header(place / "model.safetensors")


@pytest.mark.parametrize("use", [read_header, recognise, lambda path: recognise_vae(str(path))])
def test_a_pipe_in_a_models_place_is_refused_and_not_waited_for(tmp_path: Path, use: Any) -> None:
    os.mkfifo(tmp_path / "model.safetensors")
    with pytest.raises(UserError, match="is not a file"):
        use(tmp_path / "model.safetensors")


@pytest.fixture(scope="module")
def folder_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A diffusers folder that is recognised as a small SDXL model, its U-Net in two files."""
    folder = tmp_path_factory.mktemp("model")
    empty = (2).to_bytes(8, "little") + b"{}"
    weights = {"a.safetensors": "unet", "diffusion_pytorch_model.safetensors": "vae"}
    for name, part in [*weights.items(), *[("model.safetensors", f"text_encoder{end}") for end in ("", "_2")]]:
        (folder / part).mkdir()
        (folder / part / name).write_bytes(empty)
    (folder / "scheduler").mkdir()
    contents: dict[str, object] = {
        "model_index.json": {"_class_name": "StableDiffusionXLPipeline"},
        "unet/config.json": {"in_channels": 4, "block_out_channels": [32, 64]},
        "scheduler/scheduler_config.json": {"_class_name": "EulerDiscreteScheduler"},
        "unet/diffusion_pytorch_model.safetensors.index.json": {"weight_map": {"x": "a.safetensors"}},
    }
    for name, content in contents.items():
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
    assert recognise(folder).size == "micro"
    return folder


FILES_OF_A_FOLDER = (
    "model_index.json",
    "unet/config.json",
    "scheduler/scheduler_config.json",
    "lora_tui.json",
    "unet/diffusion_pytorch_model.safetensors.index.json",
)
NAMES_IN_CONFIGS = st.sampled_from(
    [
        "_class_name",
        "in_channels",
        "block_out_channels",
        "transformer_layers_per_block",
        "prediction_type",
        "rescale_betas_zero_snr",
        "bucket_reso_steps",
        "buckets",
        "weight_map",
    ]
)
CONFIGS = st.dictionaries(NAMES_IN_CONFIGS, ANYTHING | st.just([320, 640, 1280]), max_size=5)


@given(st.sampled_from(FILES_OF_A_FOLDER), CONFIGS.map(json.dumps).map(str.encode) | st.binary(max_size=30))
@tries(200)
def test_no_configuration_makes_recognition_stumble(folder_model: Path, name: str, content: bytes) -> None:
    path = folder_model / name
    before = path.read_bytes() if path.exists() else None
    try:
        path.write_bytes(content)
        answer_of(lambda: recognise(folder_model), folder_model)
    finally:
        path.write_bytes(before) if before is not None else path.unlink()
