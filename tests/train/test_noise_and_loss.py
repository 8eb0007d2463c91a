"""Randomness as a function of (seed, step, position), and the loss formulas of `semantics.md` 1.18 and 1.19."""

from __future__ import annotations

import pytest
import torch
from diffusers import DDPMScheduler

from engine.data.samples import Sample
from engine.data.text_source import EncodedAhead
from engine.plan.caption_draws import CaptionRules
from engine.train.loss import add_noise, alphas_cumprod, denoising_loss, min_snr_weight
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
        randomness.noise(out[n], step=n, position=0)
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


def test_schedule_and_forward_process_are_sdxls() -> None:
    scheduler = DDPMScheduler(
        1000, beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, clip_sample=False
    )
    alphas = alphas_cumprod(CPU)
    torch.testing.assert_close(alphas, scheduler.alphas_cumprod, rtol=1e-6, atol=1e-9)
    x, noise, t = torch.randn(3, 4, 8, 8), torch.randn(3, 4, 8, 8), torch.tensor([0, 500, 999])
    torch.testing.assert_close(add_noise(x, noise, t, alphas), scheduler.add_noise(x, noise, t))


def test_min_snr_weight_is_gamma_over_snr_above_gamma_and_one_below() -> None:
    alphas = alphas_cumprod(CPU)
    t = torch.arange(1000)
    snr = alphas / (1 - alphas)
    weight = min_snr_weight(t, alphas, 5.0)
    torch.testing.assert_close(weight, torch.minimum(snr, torch.tensor(5.0)) / snr)
    assert (weight[snr < 5] == 1).all()
    assert weight[0].item() == pytest.approx(5 / snr[0].item())


def test_loss_weighs_regularisation_pictures_without_renormalising() -> None:
    alphas = alphas_cumprod(CPU)
    predicted, target, t = torch.zeros(2, 4, 8, 8), torch.ones(2, 4, 8, 8), torch.tensor([900, 900])
    plain = denoising_loss(predicted, target, t, torch.tensor([1.0, 1.0]), alphas, 0.0)
    weighted = denoising_loss(predicted, target, t, torch.tensor([1.0, 0.5]), alphas, 0.0)
    assert plain.item() == 1.0
    assert weighted.item() == 0.75


def test_loss_uses_min_snr_only_when_gamma_is_given() -> None:
    alphas = alphas_cumprod(CPU)
    predicted, target, t = torch.zeros(1, 4, 8, 8), torch.ones(1, 4, 8, 8), torch.tensor([5])
    assert denoising_loss(predicted, target, t, torch.ones(1), alphas, 0.0).item() == 1.0
    expected = min_snr_weight(t, alphas, 5.0).item()
    assert expected < 0.05
    assert denoising_loss(predicted, target, t, torch.ones(1), alphas, 5.0).item() == pytest.approx(expected)
