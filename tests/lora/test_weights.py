"""LoRA files: sd-scripts' keys, shapes and hashes; diffusers loads them; a reload changes no strength."""

from __future__ import annotations

import hashlib
import json
import logging
from io import BytesIO
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionXLPipeline, UNet2DConditionModel
from safetensors import safe_open
from safetensors.torch import load_file, save

from engine.demo import architecture
from engine.lora import weights
from engine.lora.attach import LoraShape, attach, detach
from engine.lora.network import LoraNetwork
from engine.models.checkpoint import load
from engine.models.sdxl import SDXL
from engine.plan.errors import UserError
from tests.micro_model import base_of
from tests.training import change

STEM = "lora_unet_input_blocks_3_1_transformer_blocks_0_ff_net_0_proj"
PARTS = ("lora_down.weight", "lora_up.weight", "alpha")


def randomise(network: LoraNetwork, size: float = 0.3) -> LoraNetwork:
    g = torch.Generator().manual_seed(3)
    for flat in network.parameters:
        flat.data.copy_(torch.randn(flat.shape, generator=g) * size)
    return network


@torch.no_grad()
def predict(unet: UNet2DConditionModel) -> torch.Tensor:
    g = torch.Generator().manual_seed(1)
    return unet(
        torch.randn(2, 4, 12, 12, generator=g),
        torch.tensor([10, 700]),
        torch.randn(2, 77, architecture.CROSS_ATTENTION_DIM, generator=g),
        added_cond_kwargs={
            "text_embeds": torch.randn(2, 64, generator=g),
            "time_ids": torch.tensor([[96.0, 96, 0, 0, 96, 96]] * 2),
        },
    ).sample


@pytest.fixture
def model(micro_folder: Path) -> SDXL:
    return load(base_of(micro_folder))


def write(network: LoraNetwork, path: Path, precision: str = "float", **metadata: str) -> Path:
    weights.write(path, weights.state_dict(network, precision), {"ss_v2": "False", **metadata})
    return path


@pytest.mark.parametrize(
    ("precision", "dtype"), [("float", torch.float32), ("fp16", torch.float16), ("bf16", torch.bfloat16)]
)
def test_each_module_has_a_down_an_up_and_an_alpha_of_no_dimension(
    model: SDXL, tmp_path: Path, precision: str, dtype: torch.dtype
) -> None:
    network = randomise(attach({"unet": model.unet}, LoraShape(3, 1.5), seed=0))
    file = load_file(write(network, tmp_path / "a.safetensors", precision))
    assert len(file) == 3 * len(network.modules) == 3 * 124
    for module in network.modules:
        down, up, alpha = (
            file.pop(f"{module.stem}.{part}") for part in ("lora_down.weight", "lora_up.weight", "alpha")
        )
        assert down.shape == (3, module.layer.in_features)
        assert up.shape == (module.layer.out_features, 3)
        assert alpha.shape == ()
        assert alpha.item() == 1.5
        assert down.dtype == up.dtype == alpha.dtype == dtype
        assert torch.equal(down, module.down.to(dtype))
        assert torch.equal(up, module.up.to(dtype))
    assert not file
    assert STEM in {module.stem for module in network.modules}


def test_diffusers_loads_it_with_no_key_left_over_and_gives_the_same_output(
    model: SDXL, micro_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = predict(model.unet)
    network = randomise(attach({"unet": model.unet}, LoraShape(4, 2.0), seed=0))
    path = write(network, tmp_path / "a.safetensors", "fp16")
    ours = predict(model.unet)
    pipeline = StableDiffusionXLPipeline.from_pretrained(micro_folder, dtype=torch.float32)
    logger = logging.getLogger("diffusers")
    level = logger.level
    logger.addHandler(caplog.handler)
    logger.setLevel(logging.INFO)
    try:
        pipeline.load_lora_weights(path)
    finally:
        logger.removeHandler(caplog.handler)
        logger.setLevel(level)
    spoken = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    # diffusers also says of each text encoder that the file has nothing for it
    assert not [text for text in spoken if not text.startswith("No LoRA keys associated to CLIPTextModel")]
    worn = {name: layer for name, layer in pipeline.unet.named_modules() if hasattr(layer, "lora_A")}
    assert len(worn) == len(network.modules)
    assert {scale for layer in worn.values() for scale in layer.scaling.values()} == {0.5}
    theirs = predict(pipeline.unet)
    moved = float((ours - before).abs().max())
    assert float((theirs - ours).abs().max()) < 0.02 * moved
    assert moved > 0.05


@pytest.mark.parametrize("alpha", [2.0, 4.0, 0.5])
def test_loading_it_keeps_its_strength_whatever_alpha_the_network_has(
    model: SDXL, tmp_path: Path, alpha: float
) -> None:
    network = randomise(attach({"unet": model.unet}, LoraShape(4, 2.0), seed=0))
    ours = predict(model.unet)
    file = weights.read(write(network, tmp_path / "a.safetensors"))
    detach({"unet": model.unet})
    other = attach({"unet": model.unet}, LoraShape(weights.rank_of(file), alpha), seed=1)
    assert float((predict(model.unet) - ours).abs().max()) > 0.05
    weights.load_into(other, file)
    torch.testing.assert_close(predict(model.unet), ours, rtol=1e-3, atol=1e-4)
    again = weights.read(write(other, tmp_path / "b.safetensors"))
    assert weights.alpha_of(again) == alpha
    torch.testing.assert_close(change(again, STEM), change(file, STEM), rtol=1e-5, atol=1e-7)


def test_a_lora_without_alpha_counts_at_full_strength_as_it_does_everywhere(model: SDXL, tmp_path: Path) -> None:
    network = randomise(attach({"unet": model.unet}, LoraShape(4, 2.0), seed=0))
    file = weights.read(write(network, tmp_path / "a.safetensors"))
    bare = weights.LoraFile({name: t for name, t in file.tensors.items() if not name.endswith(".alpha")})
    assert weights.alpha_of(bare) is None
    weights.load_into(network, bare)
    first = network.modules[0]
    assert torch.equal(first.up * first.scale, file.tensors[f"{first.stem}.lora_up.weight"])


def test_taking_a_lora_off_gives_back_the_base_model(model: SDXL) -> None:
    before, names = predict(model.unet), [name for name, _ in model.unet.named_modules()]
    randomise(attach({"unet": model.unet}, LoraShape(4, 2.0), seed=0))
    detach({"unet": model.unet})
    assert torch.equal(predict(model.unet), before)
    assert [name for name, _ in model.unet.named_modules()] == names
    network = randomise(attach({"unet": model.unet}, LoraShape(8, 2.0), seed=0))
    assert len(network.modules) == 124
    assert not torch.allclose(predict(model.unet), before, atol=1e-2)


def damaged(tensors: dict[str, torch.Tensor], how: str) -> dict[str, torch.Tensor]:
    up = f"{STEM}.lora_up.weight"
    if how == "another model":
        return {name.replace("input_blocks_3", "input_blocks_4"): t for name, t in tensors.items()}
    if how == "no up":
        return {name: t for name, t in tensors.items() if name != up}
    if how == "another width":
        return {**tensors, up: tensors[up][:-1].clone()}
    if how == "another rank":
        return {name: t[:2] if "lora_down" in name else t[:, :2] if t.ndim else t for name, t in tensors.items()}
    return {f"lora_te1_text_model_encoder_layers_0_mlp_fc1.{part}": torch.ones(4, 4) for part in ("lora_down.weight",)}


@pytest.mark.parametrize("how", ["another model", "no up", "another width", "another rank", "only text encoder"])
def test_a_lora_that_does_not_fit_is_refused_in_one_sentence_and_changes_nothing(model: SDXL, how: str) -> None:
    network = randomise(attach({"unet": model.unet}, LoraShape(4, 2.0), seed=0))
    file = weights.LoraFile(damaged(weights.state_dict(network, "float"), how))
    before = network.parts[0].downs.clone(), network.parts[0].ups.clone()
    network.parts[0].downs.data.mul_(0.5)
    with pytest.raises(UserError) as error:
        weights.load_into(network, file)
    assert error.value.code == "lora-does-not-fit"
    assert error.value.hint
    assert error.value.message.count(". ") == 0
    assert torch.equal(network.parts[0].downs, before[0] * 0.5)
    assert torch.equal(network.parts[0].ups, before[1])


def addnet_hashes(content: bytes) -> tuple[str, str]:
    """As sd-scripts computes them (`train_util.addnet_hash_safetensors` and `addnet_hash_legacy`)."""
    file = BytesIO(content)
    length = int.from_bytes(file.read(8), "little")
    file.seek(8 + length)
    whole = hashlib.sha256(file.read()).hexdigest()
    file.seek(0x100000)
    return whole, hashlib.sha256(file.read(0x10000)).hexdigest()[:8]


def test_hashes_are_those_that_sd_scripts_would_write(model: SDXL, tmp_path: Path) -> None:
    network = randomise(attach({"unet": model.unet}, LoraShape(16, 2.0), seed=0))
    path = write(network, tmp_path / "a.safetensors", ss_output_name="a", **{"modelspec.title": "a" * 999})
    assert path.stat().st_size > 0x110000  # or there would be nothing to hash
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    training_only = save(load_file(path), {k: v for k, v in metadata.items() if k.startswith("ss_")})
    assert (metadata["sshs_model_hash"], metadata["sshs_legacy_hash"]) == addnet_hashes(training_only)
    assert addnet_hashes(path.read_bytes())[0] == metadata["sshs_model_hash"]  # what A1111 finds in the file itself


def test_writing_is_whole_or_not_at_all(model: SDXL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = randomise(attach({"unet": model.unet}, LoraShape(4, 2.0), seed=0))
    path = write(network, tmp_path / "a.safetensors")
    before = path.read_bytes()
    network.parts[0].ups.data.add_(1.0)
    with monkeypatch.context() as patched:
        patched.setattr("os.replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            write(network, path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.safetensors"]
    write(network, path)
    length = int.from_bytes(path.read_bytes()[:8], "little")
    assert json.loads(path.read_bytes()[8 : 8 + length])["__metadata__"]["ss_v2"] == "False"
    assert path.read_bytes() != before
