"""A training that starts from a LoRA of any program begins exactly where that LoRA is."""

from __future__ import annotations

import copy
import json

import pytest
import torch
from diffusers import UNet2DConditionModel
from peft.utils import get_peft_model_state_dict

from engine.lora import weights
from engine.lora.attach import LoraShape, attach
from engine.lora.network import LoraNetwork
from engine.lora.spellings import respelt
from engine.lora.start import _CONV_LAYERS, start_from
from engine.lora.targets import Target, unet_targets
from engine.lora.weights import LoraFile
from engine.plan.errors import UserError
from tests.lora.test_network import predict, randomise


def trained(unet: UNet2DConditionModel, rank: int = 4, alpha: float = 2.0, conv: int = 0) -> LoraNetwork:
    network = attach({"unet": unet}, LoraShape(rank, alpha, conv, 1.0), seed=0, conv=conv > 0)
    randomise(network, 0.2)
    return network


def kohya(network: LoraNetwork, unet: UNet2DConditionModel) -> LoraFile:
    return LoraFile(weights.state_dict(network, "float"))


def underscored(network: LoraNetwork, unet: UNet2DConditionModel) -> LoraFile:
    """diffusers' names with underscores, as some converters write them."""
    tensors = weights.state_dict(network, "float")
    for module in network.modules:
        for end in (".lora_down.weight", ".lora_up.weight", ".alpha"):
            tensors["lora_unet_" + module.target.name.replace(".", "_") + end] = tensors.pop(module.stem + end)
    return LoraFile(tensors)


def peft(network: LoraNetwork, unet: UNet2DConditionModel) -> LoraFile:
    """What diffusers' training examples save: PEFT's own names, alpha only in the header."""
    tensors = {f"unet.{name}": tensor.clone() for name, tensor in get_peft_model_state_dict(unet).items()}
    about = {"unet.r": 4, "unet.lora_alpha": network.modules[0].alpha}
    return LoraFile(tensors, {"lora_adapter_metadata": json.dumps(about)})


def oldest(network: LoraNetwork, unet: UNet2DConditionModel) -> LoraFile:
    """As diffusers saved them in its attention processors, without any alpha; other layers had no LoRA then."""
    tensors = {}
    for module in network.modules:
        up = module.up.detach() * module.scale
        stem = f"unet.{module.target.name}"
        if ".attn" in stem:
            place, _, layer = stem.replace(".to_out.0", ".to_out").rpartition(".")
            stem = f"{place}.processor.{layer}_lora"
        else:
            stem += ".lora"
        tensors |= {f"{stem}.down.weight": module.down.detach().clone(), f"{stem}.up.weight": up}
    return LoraFile(tensors)


@pytest.mark.parametrize("spelt", [kohya, underscored, peft, oldest])
def test_the_first_prediction_is_the_files(unet: UNet2DConditionModel, spelt) -> None:
    fresh = copy.deepcopy(unet)
    before = predict(unet)
    network = trained(unet)
    wanted = predict(unet)
    assert not torch.allclose(before, wanted, atol=1e-3)
    start_from(attach({"unet": fresh}, LoraShape(4, 1.0), seed=5), spelt(network, unet))
    torch.testing.assert_close(predict(fresh), wanted, rtol=1e-4, atol=1e-5)


def test_a_higher_rank_and_convolutions_take_up_a_smaller_lora(unet: UNet2DConditionModel) -> None:
    fresh = copy.deepcopy(unet)
    network = trained(unet)
    larger = attach({"unet": fresh}, LoraShape(7, 7.0, 3, 3.0), seed=5, conv=True)
    start_from(larger, kohya(network, unet))
    torch.testing.assert_close(predict(fresh), predict(unet), rtol=1e-4, atol=1e-5)
    module = larger.modules[0]
    assert module.down[4:].any()  # the other ranks can learn
    assert not module.up[:, 4:].any()


@pytest.mark.parametrize(
    ("shape", "change", "said"),
    [
        (LoraShape(3, 1.0), {}, "more than network_dim = 3 here. Set network_dim = 4."),
        (LoraShape(4, 1.0), {"lora_te1_x": 1}, "Set train_text_encoder_1 = true."),
        (LoraShape(4, 1.0), {"lora_unet_input_blocks_1_0_in_layers_2": 1}, "Set conv_dim to its rank"),
        (LoraShape(4, 1.0), {"lora_unet_output_blocks_2_2_conv": 1}, "Set conv_dim to its rank"),
        (LoraShape(4, 1.0), {"lora_unet_down_blocks_0_downsamplers_0_conv": 1}, "Set conv_dim to its rank"),
        (LoraShape(4, 1.0), {"lora_unet_input_blocks_1_1_proj_in": 1}, "Use a LoRA that was trained on an SDXL"),
        (LoraShape(4, 1.0), {"lora_unet_mid_transformer_blocks_0_other": 1}, "changes 1 layer too many"),
    ],
)
def test_what_would_be_lost_is_refused(
    unet: UNet2DConditionModel, shape: LoraShape, change: dict[str, int], said: str
) -> None:
    fresh = copy.deepcopy(unet)
    file = kohya(trained(unet), unet)
    more = {f"{stem}.lora_down.weight": torch.zeros(4, 4) for stem in change}
    with pytest.raises(UserError) as caught:
        start_from(attach({"unet": fresh}, shape, seed=5), LoraFile({**file.tensors, **more}))
    assert said in str(caught.value)


@pytest.mark.parametrize("end", [".lora_A.weight", ".lora.down.weight"])
def test_other_programs_layers_that_are_not_trained_here_are_not_dropped(unet: UNet2DConditionModel, end: str) -> None:
    fresh = copy.deepcopy(unet)
    file = peft(trained(unet), unet)
    layer = "text_encoder.text_model.encoder.layers.0.self_attn.q_proj"
    more = {
        f"{layer}{end}": torch.ones(4, 64),
        f"{layer}{end.replace('A', 'B').replace('down', 'up')}": torch.ones(64, 4),
    }
    with pytest.raises(UserError, match="also changes text encoder 1") as refused:
        start_from(trained(fresh), LoraFile(file.tensors | more, file.metadata))
    assert refused.value.hint == "Set train_text_encoder_1 = true."


def test_every_layer_that_conv_dim_adds_is_known_as_one(unet: UNet2DConditionModel) -> None:
    without = {target.stem for target in unet_targets(unet)}
    for target in unet_targets(unet, conv=True):
        for stem in (target.stem, f"lora_unet_{target.name.replace('.', '_')}"):
            assert bool(_CONV_LAYERS.fullmatch(stem)) == (target.stem not in without), stem


def test_the_oldest_names_of_text_encoders() -> None:
    place = "text_encoder.text_model.encoder.layers.0.self_attn"
    sides = {"down": torch.ones(2, 3), "up": torch.ones(3, 2)}
    file = LoraFile({f"{place}.to_{x}_lora.{side}.weight": t for x in ("q", "out") for side, t in sides.items()})
    targets = [
        Target("text_encoder_1", f"encoder.layers.0.self_attn.{x}_proj", f"lora_te1_text_model_encoder_layers_0_{x}")
        for x in ("q", "out")
    ]
    assert respelt(file, targets).stems == sorted(target.stem for target in targets)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.hada_w1_a", "LoHa"), ("a.lokr_w1", "LoKr"), ("a.dora_scale", "DoRA"), ("a.lora_magnitude_vector", "DoRA")],
)
def test_other_kinds_are_named(name: str, kind: str) -> None:
    with pytest.raises(UserError, match=kind):
        respelt(LoraFile({name: torch.zeros(1)}), [])
