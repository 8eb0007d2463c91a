"""Which layers get a LoRA: the counts and names that every program which loads the file looks for."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
import torch
from diffusers import UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

import engine.models
from engine.lora.attach import LoraShape, attach, detach
from engine.lora.norms import apply_max_norm_, weight_norms
from engine.lora.targets import every_target, text_targets, unet_targets
from engine.plan.disk import LAYERS

FILES = Path(engine.models.__file__).parent / "sdxl_files"


@pytest.fixture(scope="module")
def full() -> dict[str, torch.nn.Module]:
    """SDXL's models without weights."""

    def config(name: str) -> dict[str, object]:
        return json.loads((FILES / name / "config.json").read_text())

    with torch.device("meta"):
        return {
            "unet": UNet2DConditionModel.from_config(config("unet")),
            "text_encoder_1": CLIPTextModel(CLIPTextConfig(**config("text_encoder"))),
            "text_encoder_2": CLIPTextModelWithProjection(CLIPTextConfig(**config("text_encoder_2"))),
        }


def test_locon_adds_28_small_and_38_large_layers_under_their_names(full: dict[str, torch.nn.Module]) -> None:
    plain, locon = list(unet_targets(full["unet"])), list(unet_targets(full["unet"], conv=True))
    more = locon[len(plain) :]
    assert (len(plain), len(locon)) == (722, 788)
    assert locon[:722] == plain
    assert sum(target.conv for target in more) == 38
    stems = {target.stem for target in more}
    assert len(stems) == 66
    ends = {"in_layers_2", "out_layers_3", "emb_layers_1", "skip_connection", "0_op", "2_conv"}
    assert {end for end in ends for stem in stems if stem.endswith(end)} == ends
    assert {"lora_unet_input_blocks_3_0_op", "lora_unet_output_blocks_2_2_conv"} <= stems


def test_text_encoders_have_72_and_192_layers_always_with_text_model(full: dict[str, torch.nn.Module]) -> None:
    first = [target.stem for target in text_targets(full["text_encoder_1"], "text_encoder_1")]
    second = [target.stem for target in text_targets(full["text_encoder_2"], "text_encoder_2")]
    layers = ("self_attn_q_proj", "self_attn_k_proj", "self_attn_v_proj", "self_attn_out_proj", "mlp_fc1", "mlp_fc2")
    for prefix, stems, depth in (("lora_te1", first, 12), ("lora_te2", second, 32)):
        wanted = {f"{prefix}_text_model_encoder_layers_{n}_{layer}" for n in range(depth) for layer in layers}
        assert (set(stems), len(stems)) == (wanted, len(wanted))


def test_a_convolution_has_its_own_rank_and_alpha_and_changes_the_output(unet: UNet2DConditionModel) -> None:
    network = attach({"unet": unet}, LoraShape(4, 2.0, conv_rank=3, conv_alpha=1.5), seed=0, conv=True)
    plain = attach({"unet": copy.deepcopy(bare(unet))}, LoraShape(4, 2.0), seed=0)
    large = [module for module in network.modules if module.down.ndim == 4 and module.down.shape[-1] == 3]
    assert large
    assert {(module.rank, module.alpha, module.scale) for module in large} == {(3, 1.5, 0.5)}
    assert {module.rank for module in network.modules if module.down.ndim == 2} == {4}
    starts = {module.stem: module.down for module in network.modules}
    assert all(torch.equal(starts[module.stem], module.down) for module in plain.modules)
    module = large[0]
    x = torch.randn(2, module.down.shape[1], 8, 8, generator=torch.Generator().manual_seed(0))
    before = module.layer(x)
    assert torch.equal(before, module.layer.base_layer(x))
    module.up.data.normal_(generator=torch.Generator().manual_seed(1))
    base = module.layer.base_layer
    kernel = (module.up.flatten(1) @ module.down.flatten(1)).view(base.weight.shape) * module.scale
    whole = torch.nn.functional.conv2d(x, base.weight + kernel, base.bias, base.stride, base.padding)
    torch.testing.assert_close(module.layer(x), whole, rtol=1e-4, atol=1e-4)


def bare(unet: UNet2DConditionModel) -> UNet2DConditionModel:
    """A copy without the LoRA."""
    unet = copy.deepcopy(unet)
    detach({"unet": unet})
    return unet


def test_max_norm_of_convolutions_is_that_of_the_composed_kernel(unet: UNet2DConditionModel) -> None:
    network = attach({"unet": unet}, LoraShape(4, 2.0, conv_rank=3, conv_alpha=1.5), seed=0, conv=True)
    generator = torch.Generator().manual_seed(0)
    for flat in network.parameters:
        flat.data.copy_(torch.randn(flat.shape, generator=generator) * 0.2)

    def composed() -> torch.Tensor:
        """sd-scripts' way: a 3x3 kernel by convolving down with up."""
        norms = []
        for module in network.modules:
            down, up = module.down.detach(), module.up.detach()
            if down.ndim == 4 and down.shape[-1] > 1:
                change = torch.nn.functional.conv2d(down.permute(1, 0, 2, 3), up).permute(1, 0, 2, 3)
            else:
                change = up.flatten(1) @ down.flatten(1)
            norms.append((change * module.scale).norm())
        return torch.stack(norms)

    before = composed()
    torch.testing.assert_close(weight_norms(network), before, rtol=1e-5, atol=1e-6)
    maximum = before.median().item()
    apply_max_norm_(network, maximum)
    torch.testing.assert_close(composed(), before.clamp(max=maximum), rtol=1e-4, atol=1e-5)


def test_the_sizes_that_are_known_without_torch_are_those_of_the_models(full: dict[str, torch.nn.Module]) -> None:
    found = {"unet": [0, 0, 0], "residual": [0, 0, 0], "conv": [0, 0, 0]}
    for target in every_target(full):  # type: ignore[arg-type]
        layer = full[target.part].get_submodule(target.name)
        inputs = layer.weight[0].numel()  # type: ignore[index]
        kind = (
            "conv" if target.conv else "residual" if target.part == "unet" and "attentions" not in target.name else ""
        )
        sums = found.setdefault(kind or target.part, [0, 0, 0])
        for place, more in enumerate((inputs, layer.weight.shape[0], 1)):  # type: ignore[union-attr,index]
            sums[place] += more
    assert found == {name: [*vars(layers).values()] for name, layers in LAYERS["sdxl"].items()}
