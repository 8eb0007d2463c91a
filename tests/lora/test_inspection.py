"""The inspection of LoRA files as the engine does it: what is odd is named, and nothing ends in a traceback."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from engine.lora.inspection import problems
from engine.lora.weights import LoraFile
from engine.runs import folder as folders
from engine.runs.events import read_all
from engine.runs.job import Job
from tests.training import own_process

Tensors = dict[str, torch.Tensor]
Inspect = Callable[[Path], tuple[int, dict[str, Any]]]
SDXL_METADATA = {"ss_base_model_version": "sdxl_base_v1-0", "ss_output_name": "ohwx"}


def kohya(prefix: str = "lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_", rank: int = 4) -> Tensors:
    g = torch.Generator().manual_seed(0)
    tensors = {}
    for name in "qkv":
        tensors[f"{prefix}{name}.lora_down.weight"] = torch.randn(rank, 32, generator=g)
        tensors[f"{prefix}{name}.lora_up.weight"] = torch.randn(48, rank, generator=g)
        tensors[f"{prefix}{name}.alpha"] = torch.tensor(2.0)
    return tensors


@pytest.fixture
def inspect(tmp_path: Path) -> Inspect:
    """Exit code, and the result (or the failure's event)."""

    def run(lora: Path) -> tuple[int, dict[str, Any]]:
        from engine.__main__ import work

        made = folders.create(tmp_path / "runs", Job("inspect", device="cpu", arguments={"lora": str(lora)}))
        with own_process():
            code = work(made)
        if code:
            return code, list(read_all(made.events_path))[-1]

        def refuse(constant: str) -> None:
            raise AssertionError(f"{constant} is no JSON")

        return code, json.loads(made.result_path.read_text("utf-8"), parse_constant=refuse)

    return run


def of(inspect: Inspect, path: Path, tensors: Tensors, metadata: dict[str, str] | None = None) -> dict[str, Any]:
    save_file(tensors, path, metadata)
    code, result = inspect(path)
    assert code == 0, result
    return result


def codes(result: dict[str, Any]) -> list[str]:
    for problem in result["problems"]:
        assert problem["message"]
        assert problem["hint"]
    return [problem["code"] for problem in result["problems"]]


def test_a_good_file(inspect: Inspect, tmp_path: Path) -> None:
    tensors = kohya() | kohya("lora_te1_text_model_encoder_layers_0_self_attn_")
    result = of(inspect, tmp_path / "a.safetensors", tensors, SDXL_METADATA)
    assert codes(result) == []
    assert (result["format"], result["rank"], result["alpha"]) == ("kohya", 4, 2.0)
    assert result["modules"] == {"unet": 3, "te1": 3, "te2": 0}
    assert result["metadata"] == SDXL_METADATA
    for entry in result["norms"]:
        stem = entry["module"]
        direct = 0.5 * tensors[f"{stem}.lora_up.weight"] @ tensors[f"{stem}.lora_down.weight"]
        assert entry["norm"] == pytest.approx(direct.norm().item(), rel=1e-5)
    norms = [entry["norm"] for entry in result["norms"]]
    assert norms == sorted(norms, reverse=True)


def test_convolutions_are_measured_too(inspect: Inspect, tmp_path: Path) -> None:
    stem = "lora_unet_input_blocks_1_0_in_layers_2"
    g = torch.Generator().manual_seed(0)
    down, up = torch.randn(4, 320, 3, 3, generator=g), torch.randn(320, 4, 1, 1, generator=g)
    tensors = {f"{stem}.lora_down.weight": down, f"{stem}.lora_up.weight": up, f"{stem}.alpha": torch.tensor(4.0)}
    result = of(inspect, tmp_path / "a.safetensors", kohya(rank=8) | tensors, SDXL_METADATA)
    assert (result["format"], result["rank"], result["conv_rank"]) == ("LoCon", 8, 4)
    assert codes(result) == []
    norms = {norm["module"]: norm["norm"] for norm in result["norms"]}
    direct = up.flatten(1) @ down.flatten(1)
    assert norms[stem] == pytest.approx(direct.norm().item(), rel=1e-4)


def without_alpha() -> Tensors:
    return {name: t for name, t in kohya().items() if not name.endswith(".alpha")}


def with_nan() -> Tensors:
    tensors = kohya()
    next(t for name, t in tensors.items() if "lora_up" in name)[0, 0] = float("nan")
    return tensors


def all_zero() -> Tensors:
    return {name: t if name.endswith(".alpha") else t * ("down" in name) for name, t in kohya().items()}


def peft() -> Tensors:
    stem = "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"
    return {f"{stem}.lora_A.weight": torch.ones(4, 32), f"{stem}.lora_B.weight": torch.ones(48, 4)}


def without_up() -> Tensors:
    return {name: t for name, t in kohya().items() if "to_q.lora_up" not in name}


def ill_fitting() -> Tensors:
    tensors = kohya()
    name = next(name for name in tensors if "lora_up" in name)
    return {**tensors, name: tensors[name][:, :2].clone()}


def flat() -> Tensors:
    return {name: t.flatten()[:1] for name, t in kohya().items()}


def looks_at(width: int) -> Tensors:
    """A layer that reads texts of this width."""
    stem = "lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k"
    sides = {f"{stem}.lora_down.weight": torch.ones(4, width), f"{stem}.lora_up.weight": torch.ones(48, 4)}
    return sides | {f"{stem}.alpha": torch.tensor(4.0)}


def overdriven() -> Tensors:
    return {name: torch.tensor(512.0) if name.endswith(".alpha") else t for name, t in kohya().items()}


def many_alphas() -> Tensors:
    return {name: torch.ones(3) if name.endswith(".alpha") else t for name, t in kohya().items()}


@pytest.mark.parametrize(
    ("tensors", "metadata", "expected"),
    [
        (peft(), {}, {"not-kohya"}),
        (without_alpha(), SDXL_METADATA, {"no-alpha"}),
        (kohya("lora_te1_encoder_layers_0_self_attn_"), SDXL_METADATA, {"te1-names"}),
        (with_nan(), SDXL_METADATA, {"not-finite"}),
        (all_zero(), SDXL_METADATA, {"empty"}),
        (kohya(), {"ss_output_name": "sd1"}, {"hidden"}),
        (kohya("lora_other_blocks_0_attn_"), SDXL_METADATA, {"not-sdxl"}),
        (kohya("lora_transformer_blocks_0_attn_"), SDXL_METADATA, {"other-model"}),
        (kohya("lora_unet_double_blocks_0_img_attn_"), SDXL_METADATA, {"other-model"}),
        (kohya("lora_te_text_model_encoder_layers_0_self_attn_"), SDXL_METADATA, {"other-model"}),
        (looks_at(768), SDXL_METADATA, {"other-model"}),
        (looks_at(2048), SDXL_METADATA, set()),
        (overdriven(), SDXL_METADATA, {"alpha-above-rank"}),
        (without_up(), SDXL_METADATA, {"no-up"}),
        (ill_fitting(), SDXL_METADATA, {"shapes"}),
        (flat(), SDXL_METADATA, {"shapes"}),
        (many_alphas(), SDXL_METADATA, {"shapes"}),
        ({"model.weight": torch.ones(3)}, {}, {"not-kohya"}),
        ({"a.hada_w1_a": torch.ones(3, 3)}, {}, {"other-kind"}),
        (kohya() | {"lora_unet_x.dora_scale": torch.ones(3)}, SDXL_METADATA, {"other-kind"}),
        (kohya(), None, set()),
    ],
    ids=lambda value: "-".join(sorted(value)) if isinstance(value, set) else "",
)
def test_what_is_odd_is_named(
    inspect: Inspect, tmp_path: Path, tensors: Tensors, metadata: dict[str, str] | None, expected: set[str]
) -> None:
    result = of(inspect, tmp_path / "a.safetensors", tensors, metadata)
    assert set(codes(result)) == expected
    assert "None" not in result["message"]


def test_formats_are_told_apart(inspect: Inspect, tmp_path: Path) -> None:
    others = (
        {name.removeprefix("unet."): tensor for name, tensor in peft().items()},
        {f"unet.a.attn1.processor.to_q_lora.{side}.weight": torch.ones(2, 2) for side in ("down", "up")},
        {f"lora_unet_a.lora_{side}.weight": torch.ones(2, 2, 1, 1) for side in ("down", "up")},
        {"a": torch.ones(1)},
        {"lora_unet_a.lokr_w1": torch.ones(2, 2)},
        {"lora_unet_a.hada_w1_a": torch.ones(2, 2)},
    )
    formats = [of(inspect, tmp_path / "a.safetensors", t)["format"] for t in (kohya(), peft(), *others)]
    assert formats == [
        "kohya", "diffusers", "PEFT", "diffusers (old)", "kohya", "unknown", "LoKr", "LoHa"
    ]  # fmt: skip


def test_other_programs_files_are_measured_too(inspect: Inspect, tmp_path: Path) -> None:
    """PEFT keeps alpha in the header, or nowhere: then a layer counts fully."""
    g, tensors = torch.Generator().manual_seed(0), {}
    for layer in ("unet.down_blocks.1.attentions.0.proj_in", "text_encoder_2.text_model.encoder.layers.0.mlp.fc1"):
        tensors[f"{layer}.lora_A.weight"] = torch.randn(4, 32, generator=g)
        tensors[f"{layer}.lora_B.weight"] = torch.randn(48, 4, generator=g)
    about = {"lora_adapter_metadata": json.dumps({"unet.lora_alpha": 2})}
    result = of(inspect, tmp_path / "a.safetensors", tensors, about)
    assert (result["format"], result["rank"], result["alpha"]) == ("diffusers", 4, 2.0)
    assert result["modules"] == {"unet": 1, "te1": 0, "te2": 1}
    norms = {norm["module"]: norm["norm"] for norm in result["norms"]}
    first = (
        tensors["unet.down_blocks.1.attentions.0.proj_in.lora_B.weight"]
        @ tensors["unet.down_blocks.1.attentions.0.proj_in.lora_A.weight"]
    )
    assert norms["lora_unet_down_blocks_1_attentions_0_proj_in"] == pytest.approx(float(first.norm()) * 0.5, rel=1e-5)
    loha = {f"lora_te1_text_model_x_{n}.hada_w1_a": torch.ones(2, 2) for n in range(3)}
    assert of(inspect, tmp_path / "b.safetensors", loha)["modules"] == {"unet": 0, "te1": 3, "te2": 0}


@pytest.mark.parametrize("kind", ["truncated", "header cut", "empty file", "pickle", "text", "folder", "missing"])
def test_what_is_no_safetensors_file_is_refused_in_one_sentence(inspect: Inspect, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.safetensors"
    save_file(kohya(), path)
    content = path.read_bytes()
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind != "missing":
        contents = {
            "truncated": content[:-10],
            "header cut": content[:40],
            "empty file": b"",
            "pickle": pickle.dumps({"a": 1}),
            "text": b"<html>404</html>" * 100,
        }
        path.write_bytes(contents[kind])
    code, end = inspect(path)
    assert code == 1
    assert end["code"] in ("unreadable-lora", "not-found")
    assert str(path) in end["message"]
    assert "\n" not in end["message"]


def test_a_file_of_8_bits_is_looked_at_too() -> None:
    tensors = {f"lora_unet_x.lora_{side}.weight": torch.ones(2, 2).to(torch.float8_e4m3fn) for side in ("down", "up")}
    file = LoraFile(tensors)
    assert "not-finite" not in {problem["code"] for problem in problems(file, file, {"unet": 1}, [])}
    tensors["lora_unet_x.lora_up.weight"][0, 0] = float("nan")
    assert "not-finite" in {problem["code"] for problem in problems(file, file, {"unet": 1}, [])}


def test_layers_whose_names_have_dots_are_layers_of_their_own() -> None:
    tensors = {f"unet.{layer}.lora_{side}.weight": torch.ones(2, 2) for layer in "ab" for side in ("down", "up")}
    assert LoraFile(tensors).stems == ["unet.a", "unet.b"]
