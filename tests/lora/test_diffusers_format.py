"""LoRA files in diffusers' own format: what its loader makes of them is what was trained."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionXLPipeline
from safetensors.torch import load_file, save_file

from engine.__main__ import work
from engine.lora import weights
from engine.lora.attach import LoraShape, attach, detach
from engine.lora.diffusers_format import in_diffusers_format
from engine.lora.kohya_format import in_kohya_format
from engine.lora.spellings import plainly, respelt
from engine.lora.targets import every_target
from engine.lora.weights import LoraFile
from engine.models.checkpoint import load
from engine.plan.errors import UserError
from engine.runs import folder as folders
from engine.runs.job import Job
from tests.lora.test_network import predict, randomise
from tests.micro_model import base_of
from tests.training import own_process

RANK, ALPHA = 4, 2.0


@pytest.fixture(scope="module")
def kohya(micro_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA of all parts, convolutions with another rank and strength included, as sd-scripts writes it."""
    network = attach(load(base_of(micro_folder)).parts, LoraShape(RANK, ALPHA, 2, 0.5), seed=0, conv=True)
    randomise(network, 0.1)
    path = tmp_path_factory.mktemp("lora") / "kohya.safetensors"
    metadata = {"ss_network_alpha": "2.0", "ss_base_model_version": "sdxl_base_v1-0", "sshs_model_hash": "old"}
    weights.write(path, weights.state_dict(network, "float"), metadata)
    return path


@pytest.fixture(scope="module")
def converted(kohya: Path) -> Path:
    run = folders.create(kohya.parent / "runs", Job("convert", arguments={"lora": str(kohya)}))
    with own_process():
        assert work(run) == 0
    return Path(json.loads(run.result_path.read_text())["lora"])


def worn_by_diffusers(micro_folder: Path, lora: Path) -> tuple[list[torch.Tensor], set[float], list[str]]:
    """What U-Net and text encoders say with it on, the scales of its layers, and what the loader complained of."""
    said: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    pipeline = StableDiffusionXLPipeline.from_pretrained(micro_folder, torch_dtype=torch.float32)
    logger, listener = logging.getLogger("diffusers"), Listener(logging.WARNING)
    logger.addHandler(listener)
    try:
        pipeline.load_lora_weights(lora)
    finally:
        logger.removeHandler(listener)
    parts = [pipeline.unet, pipeline.text_encoder, pipeline.text_encoder_2]
    layers = [layer for part in parts for layer in part.modules() if hasattr(layer, "lora_A")]
    ids = torch.tensor([[0, 5, 9, 300, 1]])
    texts = [part(ids, output_hidden_states=True).hidden_states[-2] for part in parts[1:]]
    return [predict(pipeline.unet), *texts], {scale for layer in layers for scale in layer.scaling.values()}, said


def test_diffusers_draws_with_it_as_with_the_kohya_file(micro_folder: Path, kohya: Path, converted: Path) -> None:
    with torch.no_grad():
        wanted, strengths, _ = worn_by_diffusers(micro_folder, kohya)
        found, scales, said = worn_by_diffusers(micro_folder, converted)
    assert strengths == {0.5, 0.25}
    assert scales == {1.0}
    assert not said
    for ours, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_its_names_are_pefts_and_it_keeps_what_it_says_of_itself(kohya: Path, converted: Path) -> None:
    file, old = weights.read(converted), weights.read(kohya)
    assert len(file.tensors) == 2 * len(old.stems)
    assert {name.split(".")[0] for name in file.tensors} == {"unet", "text_encoder", "text_encoder_2"}
    assert all(name.endswith((".lora_A.weight", ".lora_B.weight")) for name in file.tensors)
    assert "text_encoder.text_model.encoder.layers.0.self_attn.q_proj.lora_A.weight" in file.tensors
    assert "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_out.0.lora_B.weight" in file.tensors
    assert file.metadata["ss_network_alpha"] == "2.0"
    assert file.metadata["sshs_model_hash"] != "old"
    about = json.loads(file.metadata["lora_adapter_metadata"])
    assert (about["unet.r"], about["unet.lora_alpha"]) == (RANK, RANK)
    assert about["unet.rank_pattern"] == about["unet.alpha_pattern"] != {}


def test_a_reader_that_ignores_the_header_draws_at_the_same_strength(
    micro_folder: Path, kohya: Path, converted: Path, tmp_path: Path
) -> None:
    """Alpha is in the weights themselves."""
    bare = tmp_path / "bare.safetensors"
    save_file(load_file(converted), bare)
    with torch.no_grad():
        wanted, _, _ = worn_by_diffusers(micro_folder, kohya)
        found, scales, _ = worn_by_diffusers(micro_folder, bare)
    assert scales == {1.0}
    for ours, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_our_own_reader_takes_it_back(micro_folder: Path, kohya: Path, converted: Path) -> None:
    model = load(base_of(micro_folder))

    def worn(path: Path) -> torch.Tensor:
        file = respelt(weights.read(path), every_target(model.parts))
        weights.load_into(attach(model.parts, weights.shape_of(file), seed=1, conv=True), file)
        with torch.no_grad():
            answer = predict(model.unet)
        detach(model.parts)
        return answer

    torch.testing.assert_close(worn(converted), worn(kohya), rtol=1e-4, atol=1e-5)
    plain = plainly(weights.read(converted))
    ranks = {
        float(plain.tensors[f"{stem}.alpha"]) / plain.tensors[f"{stem}.lora_down.weight"].shape[0]
        for stem in plain.stems
    }
    assert ranks == {1.0}
    again = in_diffusers_format(weights.read(converted))
    assert all(torch.equal(again.tensors[name], tensor) for name, tensor in weights.read(converted).tensors.items())


def test_back_in_kohyas_format_it_draws_the_same(micro_folder: Path, kohya: Path, converted: Path) -> None:
    job = Job("convert", arguments={"lora": str(converted), "format": "kohya"})
    run = folders.create(kohya.parent / "runs", job)
    with own_process():
        assert work(run) == 0
    back = Path(json.loads(run.result_path.read_text())["lora"])
    file, old = weights.read(back), weights.read(kohya)
    assert set(file.tensors) == set(old.tensors)
    for name, tensor in old.tensors.items():
        if name.endswith("lora_down.weight"):
            assert torch.equal(file.tensors[name], tensor)
    assert file.metadata["ss_base_model_version"] == "sdxl_base_v1-0"
    assert (file.metadata["ss_network_dim"], file.metadata["ss_network_alpha"]) == ("4", "4.0")
    assert "lora_adapter_metadata" not in file.metadata
    with torch.no_grad():
        wanted, _, _ = worn_by_diffusers(micro_folder, kohya)
        found, _, said = worn_by_diffusers(micro_folder, back)
    assert not said
    for ours, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_kohyas_format_has_the_alpha_that_pefts_header_says() -> None:
    layer = "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"
    tensors = {f"{layer}.lora_A.weight": torch.ones(4, 640), f"{layer}.lora_B.weight": torch.ones(640, 4)}
    made = in_kohya_format(LoraFile(tensors, {"lora_adapter_metadata": json.dumps({"unet.lora_alpha": 2})}))
    stem = "lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q"
    assert set(made.tensors) == {f"{stem}.lora_down.weight", f"{stem}.lora_up.weight", f"{stem}.alpha"}
    assert float(made.tensors[f"{stem}.alpha"]) == 2
    assert float(in_kohya_format(LoraFile(tensors)).tensors[f"{stem}.alpha"]) == 4


def test_the_same_file_gives_the_same_bytes(kohya: Path, converted: Path) -> None:
    made = in_diffusers_format(weights.read(kohya))
    shuffled = dict(reversed(made.metadata.items()))
    content = weights.in_order(weights.with_hashes(dict(made.tensors), shuffled))
    assert content == converted.read_bytes()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_full_size_names_and_half_precision(dtype: torch.dtype) -> None:
    stems = {
        "lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q": (
            "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"
        ),
        "lora_te1_text_model_encoder_layers_11_mlp_fc1": "text_encoder.text_model.encoder.layers.11.mlp.fc1",
        "lora_te2_text_model_encoder_layers_31_mlp_fc2": "text_encoder_2.text_model.encoder.layers.31.mlp.fc2",
    }
    tensors = {}
    for stem in stems:
        tensors[f"{stem}.lora_down.weight"] = torch.randn(96, 8).to(dtype)
        tensors[f"{stem}.lora_up.weight"] = torch.randn(8, 96).to(dtype)
        tensors[f"{stem}.alpha"] = torch.tensor(48.0, dtype=dtype)
    made = in_diffusers_format(LoraFile(tensors))
    assert set(made.tensors) == {f"{name}.lora_{side}.weight" for name in stems.values() for side in "AB"}
    for stem, name in stems.items():
        assert torch.equal(made.tensors[f"{name}.lora_B.weight"], tensors[f"{stem}.lora_up.weight"] / 2)
        assert made.tensors[f"{name}.lora_B.weight"].dtype == dtype


@pytest.mark.parametrize(
    ("tensors", "code"),
    [
        ({"lora_unet_x.hada_w1_a": (4, 4)}, "other-kind"),
        ({"weight": (4, 4)}, "not-a-lora"),
        ({"lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight": (4, 4)}, "lora-does-not-fit"),
        ({"lora_unet_middle_block_1_proj_in.lora_down.weight": (4, 4)}, "not-a-lora"),
    ],
)
def test_what_cannot_be_converted_is_said_in_one_sentence(tensors: dict[str, tuple[int, ...]], code: str) -> None:
    for change in (in_diffusers_format, in_kohya_format):
        with pytest.raises(UserError) as error:
            change(LoraFile({name: torch.zeros(shape) for name, shape in tensors.items()}))
        assert error.value.code == code
        assert error.value.hint
