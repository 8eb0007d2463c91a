"""Randomness as a function of (seed, step, position): what a training draws, and that nothing around it matters."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from engine.data.samples import Sample
from engine.data.text_source import EncodedAhead
from engine.plan.caption_draws import CaptionRules
from engine.train.noise import Randomness, micro_batch

CPU = torch.device("cpu")


def sample(number: int, weight: float = 1.0) -> Sample:
    g = torch.Generator().manual_seed(number)
    return Sample(
        torch.randn(4, 12, 12, generator=g),
        torch.rand(4, 12, 12, generator=g),
        str(number),
        torch.tensor([96.0, 96, 0, 0, 96, 96]),
        weight,
    )


def encoding(text: str) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.full((77, 128), float(text or "-1")), torch.full((64,), float(text or "-1"))


TEXTS = {text: encoding(text) for text in ("", "0", "1", "2", "3")}


def batch(samples: list[Sample], randomness: Randomness, step: int = 1, first: int = 0, dropout: float = 0.0):
    texts = EncodedAhead(CaptionRules(randomness.seed, caption_dropout_rate=dropout), TEXTS, CPU)
    return micro_batch(
        samples, texts, randomness, epoch=1, step=step, first_position=first, scaling_factor=0.13025, device=CPU
    )


def test_splitting_a_batch_changes_nothing() -> None:
    samples = [sample(n) for n in range(4)]
    randomness = Randomness(7, noise_offset=0.1)
    whole = batch(samples, randomness, 5, dropout=0.3)
    parts = [batch(samples[:1], randomness, 5, 0, 0.3), batch(samples[1:], randomness, 5, 1, 0.3)]
    for name in ("latents", "noise", "timesteps", "time_ids", "weights"):
        assert torch.equal(getattr(whole, name), torch.cat([getattr(p, name) for p in parts])), name
    for number in range(2):
        together = torch.cat([part.texts.encoded()[number] for part in parts])
        assert torch.equal(whole.texts.encoded()[number], together)


def test_every_step_position_and_seed_has_its_own_numbers() -> None:
    one = [sample(0)]
    base = batch(one, Randomness(7, 0.0), step=5)
    assert torch.equal(base.noise, batch(one, Randomness(7, 0.0), step=5).noise)
    for other in (
        batch(one, Randomness(8, 0.0), 5),
        batch(one, Randomness(7, 0.0), 6),
        batch(one, Randomness(7, 0.0), 5, 1),
    ):
        assert not torch.equal(base.noise, other.noise)
        assert not torch.equal(base.latents, other.latents)


def test_switching_an_option_on_leaves_the_other_numbers_alone() -> None:
    one = [sample(0)]
    plain, offset = batch(one, Randomness(7, 0.0)), batch(one, Randomness(7, 0.1), dropout=0.5)
    assert torch.equal(plain.latents, offset.latents)
    assert torch.equal(plain.timesteps, offset.timesteps)
    shift = offset.noise - plain.noise
    assert shift.std(dim=(2, 3)).max() < 1e-6  # one number a channel
    assert shift.abs().max() > 0


def test_noise_offset_makes_the_channel_means_vary_by_the_offset() -> None:
    randomness = Randomness(1, noise_offset=0.5)
    out = torch.empty(4000, 4, 8, 8)
    for n in range(len(out)):
        randomness.noise(out[n], torch.zeros(4, 8, 8), step=n, position=0)
    assert out.var().item() == pytest.approx(1 + 0.5**2, rel=0.02)
    assert out.mean(dim=(2, 3)).var().item() == pytest.approx(0.5**2 + 1 / 64, rel=0.05)


def test_a_dropped_caption_is_the_encoding_of_the_empty_one() -> None:
    for dropout, text in ((1.0, ""), (0.0, "0")):
        made = batch([sample(0)], Randomness(1, 0.0), dropout=dropout).texts.encoded()
        assert all(torch.equal(one[0], other) for one, other in zip(made, encoding(text), strict=True))


def test_timesteps_are_uniform_over_all_thousand() -> None:
    randomness = Randomness(3, 0.0)
    drawn = torch.tensor([randomness.timestep(step, 0) for step in range(20_000)])
    assert drawn.min() == 0
    assert drawn.max() == 999
    counts = torch.histc(drawn.float(), bins=10, min=0, max=999)
    assert (counts / 2000 - 1).abs().max() < 0.08


def test_cached_latents_are_sampled_anew_and_scaled() -> None:
    one = sample(0)
    first, second = batch([one], Randomness(7, 0.0), 1), batch([one], Randomness(7, 0.0), 2)
    assert not torch.equal(first.latents, second.latents)
    draws = torch.stack([batch([one], Randomness(7, 0.0), s).latents[0] for s in range(400)]) / 0.13025
    assert (draws.mean(dim=0) - one.mean).abs().mean() < 0.05
    assert (draws.std(dim=0) / one.std - 1).abs().mean() < 0.05


# ---------------------------------------------------------------------------------------------------- kinds of noise
EVERYTHING: dict[str, Any] = {
    "noise_offset": 0.3,
    "noise_offset_random_strength": True,
    "adaptive_noise_scale": 0.2,
    "multires_noise_iterations": 4,
    "ip_noise_gamma": 0.5,
    "ip_noise_gamma_random_strength": True,
    "min_timestep": 100,
    "max_timestep": 300,
}


def test_splitting_a_batch_changes_nothing_in_any_kind_of_noise() -> None:
    samples = [sample(n) for n in range(4)]
    randomness = Randomness(7, **EVERYTHING)
    whole = batch(samples, randomness, 5)
    parts = [batch(samples[:1], randomness, 5, 0), batch(samples[1:], randomness, 5, 1)]
    for name in ("latents", "noise", "input_noise", "timesteps"):
        assert torch.equal(getattr(whole, name), torch.cat([getattr(p, name) for p in parts])), name
    assert not torch.equal(whole.noise, batch(samples, randomness, 6).noise)
    assert not torch.equal(whole.input_noise, batch(samples, Randomness(8, **EVERYTHING), 5).input_noise)


def shifts(step: int = 1, **values: Any) -> torch.Tensor:
    """What the options add to the plain noise of 4 samples: (4, 4), one number a channel."""
    samples = [sample(n) for n in range(4)]
    difference = batch(samples, Randomness(7, **values), step).noise - batch(samples, Randomness(7, 0.0), step).noise
    assert difference.std(dim=(2, 3)).max() < 1e-6
    return difference.mean(dim=(2, 3))


def test_a_random_strength_is_one_for_each_sample_between_nothing_and_the_whole() -> None:
    steps = range(200)
    factors = [
        shifts(s, noise_offset=0.5, noise_offset_random_strength=True) / shifts(s, noise_offset=0.5) for s in steps
    ]
    found = torch.stack(factors)
    assert (found.amax(dim=2) - found.amin(dim=2)).max() < 1e-3  # the same for all channels of a sample
    one_each = found.mean(dim=2).flatten()
    assert 0 <= one_each.min() < 0.05
    assert 0.95 < one_each.max() <= 1
    assert one_each.mean().item() == pytest.approx(0.5, abs=0.04)
    assert one_each.unique().numel() == one_each.numel()


def test_adaptive_offset_grows_with_the_mean_of_the_channel_and_never_turns_around() -> None:
    samples = [sample(n) for n in range(4)]
    means = batch(samples, Randomness(7, 0.0)).latents.mean(dim=(2, 3)).abs()
    unit = shifts(noise_offset=1.0)
    more = shifts(noise_offset=0.1, adaptive_noise_scale=2.0)
    torch.testing.assert_close(more, unit * (0.1 + 2.0 * means), rtol=1e-4, atol=1e-5)
    less = shifts(noise_offset=0.01, adaptive_noise_scale=-2.0)
    torch.testing.assert_close(less, unit * (0.01 - 2.0 * means).clamp(min=0), rtol=1e-4, atol=1e-5)
    assert (less.abs() < 1e-6).any()


def drawn(count: int = 300, side: int = 16, **values: Any) -> torch.Tensor:
    randomness, out = Randomness(3, 0.0, **values), torch.empty(count, 4, side, side)
    for step in range(count):
        randomness.noise(out[step], torch.zeros(4, side, side), step, 0)
    return out


def coarseness(noise: torch.Tensor) -> float:
    """Variance of the means of 8 × 8 pixels, times 64: 1 for noise without any pattern."""
    return float(torch.nn.functional.avg_pool2d(noise, 8).var()) * 64


def test_multires_noise_is_coarser_the_more_its_levels_count_and_has_a_deviation_of_one() -> None:
    plain = drawn()
    weak, strong = (drawn(multires_noise_iterations=6, multires_noise_discount=d) for d in (0.3, 0.8))
    for noise in (weak, strong):
        torch.testing.assert_close(noise.std(dim=(1, 2, 3)), torch.ones(len(noise)), rtol=1e-4, atol=1e-4)
    assert coarseness(plain) == pytest.approx(1.0, abs=0.15)
    assert coarseness(plain) * 1.2 < coarseness(weak) < coarseness(strong) / 2
    one_level = drawn(multires_noise_iterations=1)  # of the full size: nothing is coarser
    assert coarseness(one_level) == pytest.approx(1.0, abs=0.15)
    assert not torch.equal(one_level, plain)


def test_multires_noise_ends_at_one_pixel() -> None:
    few, many = drawn(3, multires_noise_iterations=6), drawn(3, multires_noise_iterations=64)
    assert torch.equal(few, many)  # 16 / 2⁵ is less than a pixel


def test_input_perturbation_adds_its_own_noise_to_the_input_alone() -> None:
    samples = [sample(n) for n in range(4)]
    plain = batch(samples, Randomness(7, 0.1))
    perturbed = batch(samples, Randomness(7, 0.1, ip_noise_gamma=0.2))
    random = batch(samples, Randomness(7, 0.1, ip_noise_gamma=0.2, ip_noise_gamma_random_strength=True))
    assert plain.input_noise is None
    assert torch.equal(perturbed.noise, plain.noise)
    added = perturbed.input_noise - perturbed.noise
    assert added.std().item() == pytest.approx(0.2, rel=0.05)
    ratios = ((random.input_noise - random.noise) / added).flatten(1)
    torch.testing.assert_close(
        ratios, ratios.median(dim=1, keepdim=True).values.expand_as(ratios), rtol=1e-2, atol=1e-3
    )
    assert ((ratios > 0) & (ratios < 1)).all()
    assert ratios.median(dim=1).values.unique().numel() == 4


def test_timesteps_stay_within_their_limits() -> None:
    randomness = Randomness(3, 0.0, min_timestep=200, max_timestep=203)
    assert {randomness.timestep(step, 0) for step in range(100)} == {200, 201, 202}
