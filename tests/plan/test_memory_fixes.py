"""What brings a training down to the memory there is: least harm first, and no more than is needed."""

from __future__ import annotations

from dataclasses import replace

import pytest

import engine.plan.packages as packages_module
from engine.plan.disk import lora_sizes
from engine.plan.gpus import Gpu
from engine.plan.memory_fixes import Fix, all_applied, fixes, fixes_on
from engine.plan.optimizer_states import state_elements
from engine.plan.settings import Settings, resolve
from engine.plan.trained_parts import encodes_ahead

GIB = 2**30


def needed(settings: Settings) -> int:
    """A peak in bytes that is about right: weights, LoRA with gradients, states, activations, context."""
    unet = {"full": 5.13e9, "fp8": 2.58e9, "nf4": 1.5e9}[settings.base_weights]
    lora = lora_sizes(settings, "sdxl")
    states = 4 * state_elements(settings.optimizer_type, settings.optimizer_kwargs, lora)
    width, height = settings.size
    picture = (0.7e9 if settings.gradient_checkpointing else 6e9) * width * height / 1024**2
    others = (0 if encodes_ahead(settings) else 1.64e9) + (0 if settings.cache_latents else 0.33e9)
    return int(unet + 8 * lora.whole + states + picture * settings.train_batch_size + others + 0.9e9)


@pytest.fixture(autouse=True)
def everything_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages_module, "find_spec", lambda name: name)


def options(found: list[Fix]) -> list[str]:
    return [fix.option for fix in found]


def test_nothing_is_changed_where_it_fits() -> None:
    assert fixes(resolve(), 24 * GIB, needed) == []


@pytest.mark.parametrize("gibibytes", [5.5, 6, 7.5, 8, 9, 10, 11.5, 12, 16])
@pytest.mark.parametrize(
    "values",
    [
        {},
        {"gradient_checkpointing": False, "cache_text_encoder_outputs": False, "cache_latents": False},
        {"optimizer_type": "AdamW", "learning_rate": 1e-4, "train_batch_size": 6},
        {"train_text_encoder_1": True, "train_text_encoder_2": True, "cache_text_encoder_outputs": False},
    ],
)
def test_what_is_named_is_enough_and_none_of_it_is_needless(gibibytes: float, values: dict[str, object]) -> None:
    settings, room = resolve(values), int(gibibytes * GIB)
    found = fixes(settings, room, needed)
    after = needed(all_applied(settings, found))
    assert after <= room
    assert needed(settings) - sum(fix.saves_bytes for fix in found) == after
    for fix in found:
        assert needed(all_applied(settings, [other for other in found if other is not fix])) > room
        assert fix.why.endswith(".")
    assert fixes(all_applied(settings, found), room, needed) == []


def test_what_harms_nothing_comes_first() -> None:
    settings = resolve({"gradient_checkpointing": False, "cache_text_encoder_outputs": False})
    peak = needed(settings)
    assert options(fixes(settings, peak - GIB, needed)) == ["cache_text_encoder_outputs"]
    assert options(fixes(settings, peak - 6 * GIB, needed)) == ["gradient_checkpointing"]


def test_captions_that_change_cannot_be_encoded_once() -> None:
    settings = resolve({"cache_text_encoder_outputs": False, "shuffle_caption": True})
    assert "cache_text_encoder_outputs" not in options(fixes(settings, 6 * GIB, needed))


def test_a_smaller_batch_keeps_the_effective_one() -> None:
    settings = resolve({"train_batch_size": 6, "gradient_accumulation_steps": 2})
    (fix,) = fixes(settings, needed(settings) - GIB, needed)
    assert fix.changes == {"train_batch_size": 3, "gradient_accumulation_steps": 4}
    one = fixes(settings, int(needed(settings) - 3.3e9), needed)[0]
    assert one.changes == {"train_batch_size": 1, "gradient_accumulation_steps": 12}


def test_another_optimizer_brings_a_learning_rate_that_fits_it() -> None:
    settings = resolve({"train_batch_size": 1, "text_encoder_lr": "", "unet_lr": "0.9"})
    (fix,) = fixes(settings, needed(settings) - 2 * GIB, needed)
    assert fix.changes == {
        "optimizer_type": "AdamW8bit", "optimizer_args": [], "learning_rate": 1e-4, "unet_lr": ""
    }  # fmt: skip
    assert "learning_rate 0.0001" in fix.why
    adamw = resolve({"optimizer_type": "AdamW", "learning_rate": 3e-4, "train_batch_size": 1})
    (kept,) = fixes(adamw, needed(adamw) - GIB, needed)
    assert kept.changes == {"optimizer_type": "AdamW8bit", "optimizer_args": []}


@pytest.mark.parametrize("kind", ["rocm", "mps", "cuda"])
def test_adafactor_as_the_guide_gives_it_where_8_bits_cannot_be_had(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(packages_module, "find_spec", lambda name: None)
    settings = resolve({"train_batch_size": 1})
    found = fixes(settings, needed(settings) - 2 * GIB, needed, kind)  # type: ignore[arg-type]
    (fix,) = found
    assert fix.changes == {
        "optimizer_type": "Adafactor",
        "optimizer_args": ["scale_parameter=False", "relative_step=False", "warmup_init=False"],
        "learning_rate": 1e-4,
        "max_grad_norm": 0.0,
    }
    assert not all_applied(settings, found).finds_its_own_rate


def test_a_rented_gpu_is_thought_of_with_every_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages_module, "find_spec", lambda name: None)
    settings = resolve({"train_batch_size": 1})
    (fix,) = fixes(settings, needed(settings) - 2 * GIB, needed, here=False)
    assert fix.value == "AdamW8bit"


def test_apples_gpu_keeps_the_base_model_whole() -> None:
    assert "base_weights" not in options(fixes(resolve(), 5 * GIB, needed, "mps"))


def test_where_nothing_is_enough_all_that_helps_is_named() -> None:
    settings = resolve()
    found = fixes(settings, GIB, needed)
    assert {"base_weights", "network_dim", "resolution", "train_batch_size"} <= set(options(found))
    assert needed(all_applied(settings, found)) > GIB
    assert all(fix.saves_bytes > 0 for fix in found)


def test_the_rank_keeps_its_alpha_in_proportion() -> None:
    found = {fix.option: fix for fix in fixes(resolve(), GIB, needed)}
    assert found["network_dim"].changes == {"network_dim": 8, "network_alpha": 4.0}


@pytest.mark.parametrize(("dim", "ranks"), [(96, [48, 24, 16, 8]), (64, [32, 16, 8]), (20, [16, 8]), (12, [8])])
def test_the_rank_goes_down_to_8_and_no_further_than_is_needed(dim: int, ranks: list[int]) -> None:
    settings = resolve({"network_dim": dim, "network_alpha": dim / 2, "train_batch_size": 1, "base_weights": "nf4"})

    def smallest(room: int) -> list[Fix]:
        return fixes(settings, room, lambda other: other.network_dim * GIB)

    assert [smallest(rank * GIB)[0].changes["network_dim"] for rank in ranks] == ranks
    assert smallest(GIB)[0].changes == {"network_dim": 8, "network_alpha": 4.0}
    assert options(smallest(GIB)) == ["network_dim"]


@pytest.mark.parametrize(
    ("conv", "most", "changes"),
    [
        (512, 600, {"network_dim": 512, "network_alpha": 256.0}),
        (512, 300, {"network_dim": 256, "network_alpha": 128.0, "conv_dim": 256, "conv_alpha": 64.0}),
        (512, 1, {"network_dim": 8, "network_alpha": 4.0, "conv_dim": 8, "conv_alpha": 2.0}),
        (4, 1, {"network_dim": 8, "network_alpha": 4.0}),
    ],
)
def test_the_rank_of_convolutions_comes_down_with_it(conv: int, most: int, changes: dict[str, object]) -> None:
    settings = resolve({"network_dim": 1024, "network_alpha": 512.0, "conv_dim": conv, "conv_alpha": conv / 4})
    (fix,) = fixes(settings, most * GIB, lambda other: max(other.network_dim, other.conv_dim) * GIB)
    assert fix.changes == changes


def test_convolutions_of_a_larger_rank_come_down_to_the_same_one_first() -> None:
    settings = resolve({"network_dim": 32, "network_alpha": 16.0, "conv_dim": 128, "conv_alpha": 1.0})
    most = lambda other: max(other.network_dim, other.conv_dim) * GIB  # noqa: E731
    assert [fix.changes for fix in fixes(settings, 64 * GIB, most)] == [{"conv_dim": 64, "conv_alpha": 0.5}]
    text_alone = resolve({"network_dim": 32, "conv_dim": 128, "train_unet": False, "train_text_encoder_1": True})
    assert "conv_dim" not in all_options(fixes(text_alone, GIB, most))


def all_options(found: list[Fix]) -> set[str]:
    return {name for fix in found for name in fix.changes}


@pytest.mark.parametrize(
    ("kind", "bf16", "half"),
    [
        ("cuda", True, "bf16"),
        ("cuda", False, "fp16"),
        ("cuda", None, "bf16"),
        ("rocm", True, "bf16"),
        ("rocm", False, "fp16"),
        ("mps", True, "bf16"),
    ],
)
def test_half_precision_is_what_the_gpu_has(kind: str, bf16: bool | None, half: str) -> None:
    found = fixes(resolve({"mixed_precision": "no"}), GIB, _whole, kind, bf16=bf16)  # type: ignore[arg-type]
    assert found[0].changes == {"mixed_precision": half}


def test_half_precision_is_not_named_where_it_is_not_known_to_run() -> None:
    assert "mixed_precision" not in options(fixes(resolve({"mixed_precision": "no"}), GIB, _whole, "mps", bf16=None))


@pytest.mark.parametrize(("gibibytes", "rank"), [(12, 8), (20, 16), (30, 24), (8.2, 8)])
def test_where_not_even_a_little_can_be_left_free_it_fits_only_just(gibibytes: float, rank: int) -> None:
    """Above 95 % of the room; what harms more and does not get below that is not asked for."""
    gpu = Gpu("small", total_bytes=int(gibibytes * GIB), here=False)
    settings = resolve({"network_dim": 96, "network_alpha": 48.0})
    found = fixes_on(settings, gpu, lambda other: other.network_dim * GIB)
    assert [fix.changes["network_dim"] for fix in found] == [rank]


def test_what_fits_only_just_is_not_spoilt_for_a_goal_that_is_out_of_reach() -> None:
    gpu = Gpu("small", total_bytes=10 * GIB, here=False)
    stubborn = lambda other: int(9.8 * GIB) - (GIB // 8 if other.network_dim < 96 else 0)  # noqa: E731
    assert fixes_on(resolve(), gpu, stubborn) == []
    assert fixes_on(resolve(), replace(gpu, total_bytes=None), stubborn) == []


def _whole(settings: Settings) -> int:
    return needed(settings) * (2 if settings.mixed_precision == "no" else 1)


def test_as_json_as_the_contract_has_it() -> None:
    settings = resolve({"train_batch_size": 2})
    (fix,) = fixes(settings, needed(settings) - 1, needed)
    assert fix.as_json() == {
        "option": "train_batch_size",
        "value": 1,
        "also": {"gradient_accumulation_steps": 2},
        "saves_bytes": fix.saves_bytes,
        "why": fix.why,
    }
