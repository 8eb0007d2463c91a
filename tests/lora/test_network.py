"""The LoRA on a U-Net: what it adapts, that it starts as nothing, and that two flat buffers change no result."""

from __future__ import annotations

import copy

import pytest
import torch
from diffusers import UNet2DConditionModel
from prodigyopt import Prodigy

from engine.demo import architecture
from engine.lora import norms
from engine.lora.attach import LoraShape, attach
from engine.lora.network import LoraNetwork
from engine.lora.norms import apply_max_norm_, weight_norms
from engine.lora.targets import unet_targets


def predict(unet: UNet2DConditionModel, seed: int = 1) -> torch.Tensor:
    g = torch.Generator().manual_seed(seed)
    return unet(
        torch.randn(2, 4, 12, 12, generator=g),
        torch.tensor([10, 700]),
        torch.randn(2, 77, architecture.CROSS_ATTENTION_DIM, generator=g),
        added_cond_kwargs={
            "text_embeds": torch.randn(2, 64, generator=g),
            "time_ids": torch.tensor([[96.0, 96, 0, 0, 96, 96]] * 2),
        },
    ).sample


def randomise(network: LoraNetwork, size: float = 0.05) -> None:
    g = torch.Generator().manual_seed(3)
    for flat in network.parameters:
        flat.data.copy_(torch.randn(flat.shape, generator=g) * size)


def test_full_size_sdxl_gets_722_modules_under_sd_scripts_names() -> None:
    import json
    from pathlib import Path

    import engine.models

    config = Path(engine.models.__file__).parent / "sdxl_files" / "unet" / "config.json"
    with torch.device("meta"):
        full = UNet2DConditionModel.from_config(json.loads(config.read_text()))
    stems = [target.stem for target in unet_targets(full)]
    assert len(stems) == len(set(stems)) == 722
    assert "lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q" in stems
    assert "lora_unet_input_blocks_8_1_transformer_blocks_9_ff_net_0_proj" in stems
    assert "lora_unet_middle_block_1_proj_in" in stems
    assert "lora_unet_output_blocks_2_1_transformer_blocks_9_ff_net_2" in stems
    assert "lora_unet_output_blocks_5_1_transformer_blocks_1_attn2_to_out_0" in stems
    places = {s.split("_transformer")[0].split("_proj")[0] for s in stems}
    inputs = {f"lora_unet_input_blocks_{n}_1" for n in (4, 5, 7, 8)}
    outputs = {f"lora_unet_output_blocks_{n}_1" for n in range(6)}
    assert places == inputs | outputs | {"lora_unet_middle_block_1"}


def test_a_new_lora_changes_nothing_and_multiplier_zero_is_exactly_the_base(unet: UNet2DConditionModel) -> None:
    before = predict(unet)
    network = attach({"unet": unet}, LoraShape(4, 2.0), seed=0)
    assert torch.equal(predict(unet), before)
    randomise(network)
    assert not torch.allclose(predict(unet), before, atol=1e-3)
    network.set_multiplier(0.0)
    assert torch.equal(predict(unet), before)
    network.set_multiplier(1.0)
    assert not torch.allclose(predict(unet), before, atol=1e-3)


def test_the_start_is_a_function_of_the_seed_and_within_kaimings_bound(unet: UNet2DConditionModel) -> None:
    first = attach({"unet": copy.deepcopy(unet)}, LoraShape(4, 2.0), seed=0)
    second = attach({"unet": copy.deepcopy(unet)}, LoraShape(4, 2.0), seed=0)
    other = attach({"unet": copy.deepcopy(unet)}, LoraShape(4, 2.0), seed=1)
    assert torch.equal(first.parts[0].downs, second.parts[0].downs)
    assert not torch.equal(first.parts[0].downs, other.parts[0].downs)
    assert not first.parts[0].ups.any()
    for module in first.modules:
        bound = module.down.shape[1] ** -0.5
        assert 0.8 * bound < module.down.abs().max().item() <= bound


@pytest.mark.parametrize("rank", [3, 4])
def test_modules_are_views_of_the_buffers_and_gradients_arrive_in_them(unet: UNet2DConditionModel, rank: int) -> None:
    network = attach({"unet": unet}, LoraShape(rank, 2.0), seed=0)
    randomise(network)
    predict(unet).square().mean().backward()
    for module in network.modules:
        for weight, flat in ((module.down, network.parts[0].downs), (module.up, network.parts[0].ups)):
            assert weight.untyped_storage().data_ptr() == flat.untyped_storage().data_ptr()
            assert weight.data_ptr() % 64 == flat.data_ptr() % 64
            assert weight.grad is not None
            assert flat.grad is not None
            assert weight.grad.untyped_storage().data_ptr() == flat.grad.untyped_storage().data_ptr()
    assert network.parts[0].downs.grad is not None
    assert network.parts[0].downs.grad.abs().sum() > 0
    network.zero_grad()
    assert not any(m.down.grad.any() or m.up.grad.any() for m in network.modules)  # type: ignore[union-attr]
    assert sum(m.down.numel() for m in network.modules) <= network.parts[0].downs.numel()


def test_prodigy_on_flat_buffers_equals_prodigy_on_every_tensor(unet: UNet2DConditionModel) -> None:
    arguments = {"lr": 1.0, "weight_decay": 0.01, "decouple": True, "d0": 1e-4, "use_bias_correction": True}
    flat_unet, plain_unet = copy.deepcopy(unet), copy.deepcopy(unet)
    flat = attach({"unet": flat_unet}, LoraShape(4, 2.0), seed=0)
    plain = attach({"unet": plain_unet}, LoraShape(4, 2.0), seed=0)
    separate = []
    for module in plain.modules:  # detach the second network from its buffers: one tensor each, as PEFT has them
        for weight in (module.down, module.up):
            weight.data, weight.grad = weight.data.clone(), None
            separate.append(weight)
    target = torch.randn(2, 4, 12, 12, generator=torch.Generator().manual_seed(9))
    on_flat, on_plain = Prodigy(flat.parameters, **arguments), Prodigy(separate, **arguments)
    for step in range(20):
        losses = []
        for model, optimizer, weights in ((flat_unet, on_flat, flat.parameters), (plain_unet, on_plain, separate)):
            loss = (predict(model, step) - target).square().mean()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(weights, 1.0)
            optimizer.step()
            losses.append(loss.item())
        flat.zero_grad()
        on_plain.zero_grad()
        assert losses[0] == pytest.approx(losses[1], rel=2e-4)
    assert on_flat.param_groups[0]["d"] == pytest.approx(on_plain.param_groups[0]["d"], rel=1e-4)
    assert on_flat.param_groups[0]["d"] > 2e-4
    assert losses[0] < (predict(unet, 19) - target).square().mean().item()
    held = sum(t.numel() for s in on_flat.state.values() for t in s.values() if torch.is_tensor(t))
    apart = sum(t.numel() for s in on_plain.state.values() for t in s.values() if torch.is_tensor(t))
    assert held <= apart * 1.01


def direct_norms(network: LoraNetwork) -> torch.Tensor:
    """sd-scripts' way: multiply every up by its down."""
    return torch.stack([(m.up @ m.down * m.scale).norm() for m in network.modules])


@pytest.mark.parametrize("rank", [3, 8])
def test_max_norm_by_gram_matrices_equals_the_full_products(unet: UNet2DConditionModel, rank: int) -> None:
    network = attach({"unet": unet}, LoraShape(rank, rank / 2), seed=0)
    randomise(network, 0.2)
    before = direct_norms(network)
    torch.testing.assert_close(weight_norms(network), before, rtol=1e-5, atol=1e-7)
    maximum = before.median().item()
    products = [m.up @ m.down for m in network.modules]
    downs = [m.down.clone() for m in network.modules]
    apply_max_norm_(network, maximum)
    after = direct_norms(network)
    for module, product, down, norm in zip(network.modules, products, downs, before, strict=True):
        ratio = min(1.0, maximum / norm.item())
        torch.testing.assert_close(module.up @ module.down, product * ratio, rtol=2e-5, atol=1e-6)
        torch.testing.assert_close(module.down, down * ratio**0.5, rtol=1e-5, atol=1e-7)
        if norm < maximum * 0.999:
            assert torch.equal(module.down, down)
    torch.testing.assert_close(weight_norms(network), after, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("share", [0.5, 0.99, 1.01, 3.0])
def test_the_cheap_bound_never_lets_a_norm_above_the_maximum_pass(
    unet: UNet2DConditionModel, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`share` of the largest norm as the maximum: with the bound and without it the same comes out."""
    with_bound, without = (attach({"unet": copy.deepcopy(unet)}, LoraShape(4, 4), seed=0) for _ in range(2))
    for network in (with_bound, without):
        randomise(network, 0.2)
    maximum = direct_norms(with_bound).max().item() * share
    apply_max_norm_(with_bound, maximum)
    monkeypatch.setattr(norms, "_all_within", lambda network, maximum: False)
    apply_max_norm_(without, maximum)
    for one, other in zip(with_bound.parameters, without.parameters, strict=True):
        assert torch.equal(one, other)
    assert direct_norms(with_bound).max().item() <= maximum * 1.0001


def test_max_norm_leaves_a_fresh_lora_alone(unet: UNet2DConditionModel) -> None:
    network = attach({"unet": unet}, LoraShape(4, 2.0), seed=0)
    downs = network.parts[0].downs.clone()
    apply_max_norm_(network, 5.0)
    assert torch.equal(network.parts[0].downs, downs)
