"""Pretraining of the built-in micro SDXL model, in phases that resume. Never run at install time or in CI.

    python -m engine.demo.pretrain vae     --work build/micro
    python -m engine.demo.pretrain joint   --work build/micro    (text encoders with the U-Net)
    python -m engine.demo.pretrain unet    --work build/micro    (U-Net alone, texts cached)
    python -m engine.demo.pretrain decoder --work build/micro    (VAE decoder on noisy latents; needs only `vae`)
    python -m engine.demo.pretrain ship    --work build/micro    (fp16 diffusers folder)

Each phase saves its whole state every two minutes and goes on from there when called again; every random draw is a
function of the seed and the step. Times and figures are in docs/demo-model.md.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, DDPMScheduler, StableDiffusionXLPipeline
from PIL import Image
from torch import Tensor, nn
from transformers import CLIPTokenizer

from engine.demo import architecture, descriptions, vae_start, vocabulary
from engine.demo.architecture import VAE_SCALING_FACTOR
from engine.demo.phase import SEED, Trainee, train
from engine.demo.pictures import Subject, draw, rotate_hue, scribble

SHAPE_WEIGHTS = (0.6, 0.2, 0.2)
EMPTY_CAPTION_RATE = ZERO_EMBEDDING_RATE = 0.05


def to_tensor(pictures: list[Image.Image]) -> Tensor:
    """(N, 3, H, W) uint8."""
    return torch.from_numpy(np.stack([np.asarray(p) for p in pictures])).permute(0, 3, 1, 2).contiguous()


def normalised(pictures: Tensor) -> Tensor:
    """uint8 pixels as floats in -1..1, laid out as the CPU's convolutions like them."""
    return (pictures.float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)


def psnr(vae: AutoencoderKL, pictures: Tensor) -> float:
    """Peak signal to noise ratio in dB of decode(encode(x)), from the mean squared error over all pictures."""
    errors = []
    with torch.inference_mode():
        for batch in pictures.split(20):
            x = normalised(batch)
            y = vae.decode(vae.encode(x).latent_dist.mode()).sample.clamp(-1, 1)
            errors.append(((x - y) / 2).square().mean().item())
    return -10 * math.log10(float(np.mean(errors)))


def held_out_pictures(count: int, shape: tuple[int, int] = descriptions.SHAPES[0]) -> Tensor:
    rng = random.Random("held out")
    return to_tensor([draw(descriptions.random_subject(rng), *shape, rng) for _ in range(count)])


# --------------------------------------------------------------------------------------------------------------- VAE
def train_vae(work: Path, steps: int, batch: int) -> None:
    rng = random.Random(SEED)
    pools: list[Tensor] = []
    for shape, count in zip(descriptions.SHAPES, (4200, 1400, 1400), strict=True):
        pictures = []
        for _ in range(count):
            kind = rng.random()
            if kind < 0.1:
                pictures.append(scribble(*shape, rng))
                continue
            picture = draw(descriptions.random_subject(rng), *shape, rng)
            pictures.append(rotate_hue(picture, rng.random()) if kind < 0.38 else picture)
        pools.append(to_tensor(pictures))
    torch.manual_seed(SEED)
    vae = architecture.vae()
    vae_start.initialise(vae)
    vae.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(vae.parameters(), betas=(0.9, 0.99), weight_decay=0.0)
    trainee = Trainee({"vae": vae}, optimizer, 0.998)

    def loss_at(step: int) -> Tensor:
        pool = pools[random.Random(step).choices((0, 1, 2), weights=SHAPE_WEIGHTS)[0]]
        x = normalised(pool[torch.randint(len(pool), (batch,))])
        posterior = vae.encode(x).latent_dist
        z = posterior.mean + posterior.std * torch.randn_like(posterior.mean)
        z = z + 0.04 * z.detach().std() * torch.randn_like(z)  # the U-Net's latents will be a little off too
        error = vae.decode(z).sample - x
        edges = (error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean()) / 2
        sharp = min(1.0, max(0.0, step / steps - 0.35) / 0.3)
        kl = 0.5 * (posterior.mean.square() + posterior.var - 1 - posterior.logvar).mean()
        return (1 - 0.6 * sharp) * error.square().mean() + sharp * 0.2 * (error.abs().mean() + edges) + 2e-5 * kl

    train(trainee, loss_at, steps, 8e-4, work / "vae.pt")
    final = trainee.averages["vae"]
    assert isinstance(final, AutoencoderKL)
    with torch.inference_mode():
        means = torch.cat([final.encode(normalised(p)).latent_dist.mean for p in pools[0][:1000].split(50)])
    vae_start.whiten(final, means)
    final.save_pretrained(work / "vae")
    print(f"VAE: {psnr(final, held_out_pictures(200)):.2f} dB on held-out pictures", flush=True)


def train_decoder(work: Path, steps: int, batch: int) -> None:
    """Fine-tune only the decoder, on latents with noise like the U-Net's errors; the encoder stays as it is."""
    vae = AutoencoderKL.from_pretrained(work / "vae", torch_dtype=torch.float32)
    vae.to(memory_format=torch.channels_last)
    pool = _encoded(work)
    vae.requires_grad_(False)
    decoder = nn.ModuleList([vae.decoder, vae.post_quant_conv]).requires_grad_(True)
    optimizer = torch.optim.AdamW(decoder.parameters(), betas=(0.9, 0.99), weight_decay=0.0)
    trainee = Trainee({"decoder": decoder}, optimizer, 0.998)

    def loss_at(step: int) -> Tensor:
        bucket = pool[random.Random(step).choices(range(len(pool)), weights=SHAPE_WEIGHTS)[0]]
        chosen = torch.randint(len(bucket.pictures), (batch,))
        x = normalised(bucket.pictures[chosen])
        z = bucket.mean[chosen] + bucket.std[chosen] * torch.randn(bucket.mean[chosen].shape)
        amount = torch.rand(batch, 1, 1, 1).square() * 0.2
        z = z + amount * torch.randn_like(z) / VAE_SCALING_FACTOR
        error = vae.decode(z).sample - x
        edges = (error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean()) / 2
        return 0.4 * error.square().mean() + 0.2 * (error.abs().mean() + edges)

    train(trainee, loss_at, steps, 5e-4, work / "decoder.pt")
    parts = trainee.averages["decoder"]
    vae.decoder.load_state_dict(parts[0].state_dict())  # type: ignore[index]
    vae.post_quant_conv.load_state_dict(parts[1].state_dict())  # type: ignore[index]
    vae.save_pretrained(work / "vae-final")
    print(f"decoder: {psnr(vae, held_out_pictures(200)):.2f} dB on held-out pictures", flush=True)


# ------------------------------------------------------------------------------------------------- encoded pictures
@dataclass
class Bucket:
    """Pictures of one shape with their latents (mean and std, unscaled), size conditioning and subjects."""

    pictures: Tensor
    mean: Tensor
    std: Tensor
    time_ids: Tensor
    subjects: list[Subject]


def _sized_picture(
    subject: Subject, width: int, height: int, rng: random.Random
) -> tuple[Image.Image, tuple[int, ...]]:
    """A picture and its (original height, width, crop top, left, target height, width), varied as users' photos are."""
    kind = rng.random()
    if kind < 0.05:  # really low resolution
        factor = rng.choice((0.25, 0.34, 0.5))
        small = (round(width * factor), round(height * factor))
        picture = (
            draw(subject, width, height, rng)
            .resize(small, Image.Resampling.BOX)
            .resize((width, height), Image.Resampling.BICUBIC)
        )
        return picture, (small[1], small[0], 0, 0, height, width)
    if kind < 0.15:  # a crop of a larger picture
        big_w, big_h = round(width * 1.3), round(height * 1.3)
        left, top = rng.randint(0, big_w - width), rng.randint(0, big_h - height)
        picture = draw(subject, big_w, big_h, rng).crop((left, top, left + width, top + height))
        return picture, (big_h, big_w, top, left, height, width)
    picture = draw(subject, width, height, rng)
    if kind < 0.45:  # made smaller from a photo of any size
        scale = math.exp(rng.uniform(0, math.log(20)))
        return picture, (round(height * scale), round(width * scale), 0, 0, height, width)
    return picture, (height, width, 0, 0, height, width)


def _encoded(work: Path, count: int = 20_000) -> list[Bucket]:
    """The pictures the U-Net learns from, drawn and encoded anew each time (a matter of minutes, always the same)."""
    vae = AutoencoderKL.from_pretrained(work / "vae", torch_dtype=torch.float32)
    vae.to(memory_format=torch.channels_last)
    rng = random.Random(SEED + 1)
    pool = []
    for (width, height), share in zip(descriptions.SHAPES, SHAPE_WEIGHTS, strict=True):
        subjects = [descriptions.random_subject(rng) for _ in range(round(count * share))]
        drawn = [_sized_picture(s, width, height, rng) for s in subjects]
        pictures = to_tensor([p for p, _ in drawn])
        means, stds = [], []
        with torch.inference_mode():
            for batch in pictures.split(50):
                posterior = vae.encode(normalised(batch)).latent_dist
                means.append(posterior.mean.contiguous())
                stds.append(posterior.std.contiguous())
        time_ids = torch.tensor([t for _, t in drawn], dtype=torch.float32)
        pool.append(Bucket(pictures, torch.cat(means).clone(), torch.cat(stds).clone(), time_ids, subjects))
        print(f"encoded {len(subjects)} pictures of {width} x {height}", flush=True)
    return pool


# -------------------------------------------------------------------------------------------- text encoders and U-Net
class Texts:
    """Both encoders as SDXL uses them: last but one hidden states side by side, and the second's pooled output."""

    def __init__(self, folder: Path, first: nn.Module, second: nn.Module) -> None:
        self.tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer")
        self.first, self.second = first, second

    def ids(self, captions: list[str]) -> Tensor:
        return self.tokenizer(
            captions, padding="max_length", max_length=77, truncation=True, return_tensors="pt"
        ).input_ids

    def encode(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        end = self.tokenizer.eos_token_id
        after_end = (ids == end).cumsum(dim=1) > 1
        first = self.first(ids, output_hidden_states=True)
        second = self.second(ids.masked_fill(after_end, 0), output_hidden_states=True)
        return torch.cat([first.hidden_states[-2], second.hidden_states[-2]], dim=-1), second.text_embeds


def _denoising_loss(
    unet: nn.Module, alphas: Tensor, latents: Tensor, context: Tensor, pooled: Tensor, time_ids: Tensor
) -> Tensor:
    """Epsilon MSE with the min-SNR weight (gamma 5), which spends the small net's effort on structure."""
    t = torch.randint(0, 1000, (len(latents),))
    noise = torch.randn_like(latents)
    alpha = alphas[t][:, None, None, None]
    noisy = alpha.sqrt() * latents + (1 - alpha).sqrt() * noise
    condition = {"text_embeds": pooled, "time_ids": time_ids}
    predicted = unet(noisy, t, context, added_cond_kwargs=condition).sample
    snr = (alpha / (1 - alpha)).flatten()
    weight = snr.clamp(max=5.0) / snr
    return ((predicted - noise).square().mean(dim=(1, 2, 3)) * weight).mean()


def _alphas() -> Tensor:
    schedule = DDPMScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012)
    return schedule.alphas_cumprod


def _batches(pool: list[Bucket], step: int, batch: int) -> tuple[int, Tensor, Tensor]:
    """The bucket, the chosen indices and freshly sampled, scaled latents of this step."""
    number = random.Random(step).choices(range(len(pool)), weights=SHAPE_WEIGHTS)[0]
    bucket = pool[number]
    chosen = torch.randint(len(bucket.subjects), (batch,))
    latents = bucket.mean[chosen] + bucket.std[chosen] * torch.randn(bucket.mean[chosen].shape)
    return number, chosen, latents * VAE_SCALING_FACTOR


def train_joint(work: Path, steps: int, batch: int) -> None:
    vocabulary.write_tokenizers(work)
    words = json.loads((work / "tokenizer" / "vocab.json").read_text(encoding="utf-8"))
    torch.manual_seed(SEED + 2)
    first, second = architecture.text_encoders(len(words))
    unet, texts, pool, alphas = architecture.unet(), Texts(work, first, second), _encoded(work), _alphas()
    parameters = [*unet.parameters(), *first.parameters(), *second.parameters()]
    trainee = Trainee(
        {"unet": unet, "text_encoder": first, "text_encoder_2": second},
        torch.optim.AdamW(parameters, betas=(0.9, 0.99), weight_decay=0.01),
        0.998,
    )

    def loss_at(step: int) -> Tensor:
        number, chosen, latents = _batches(pool, step, batch)
        rng = random.Random(step + 10_000_000)
        captions = [descriptions.caption(pool[number].subjects[i], rng) for i in chosen.tolist()]
        captions = ["" if rng.random() < EMPTY_CAPTION_RATE else c for c in captions]
        context, pooled = texts.encode(texts.ids(captions))
        keep = (torch.rand(batch) >= ZERO_EMBEDDING_RATE).float()
        context, pooled = context * keep[:, None, None], pooled * keep[:, None]
        return _denoising_loss(unet, alphas, latents, context, pooled, pool[number].time_ids[chosen])

    train(trainee, loss_at, steps, 1e-3, work / "joint.pt")
    for name, average in trainee.averages.items():
        average.save_pretrained(work / f"{name}-joint")  # type: ignore[operator]


def _cached_texts(work: Path, pool: list[Bucket], per_picture: int) -> Iterator[tuple[Tensor, Tensor]]:
    """For each bucket the encoded captions: context (N, per_picture, 77, 128) and pooled, in half precision."""
    from transformers import CLIPTextModel, CLIPTextModelWithProjection

    first = CLIPTextModel.from_pretrained(work / "text_encoder-joint", dtype=torch.float32)
    second = CLIPTextModelWithProjection.from_pretrained(work / "text_encoder_2-joint", dtype=torch.float32)
    texts, rng = Texts(work, first, second), random.Random(SEED + 3)
    with torch.inference_mode():
        yield texts.encode(texts.ids([""]))
        for bucket in pool:
            captions = [descriptions.caption(s, rng) for s in bucket.subjects for _ in range(per_picture)]
            parts = [texts.encode(ids) for ids in texts.ids(captions).split(64)]
            context, pooled = (torch.cat(p).half() for p in zip(*parts, strict=True))
            yield context.view(-1, per_picture, 77, context.shape[-1]), pooled.view(-1, per_picture, pooled.shape[-1])


def train_unet(work: Path, steps: int, batch: int) -> None:
    from diffusers import UNet2DConditionModel

    pool, alphas = _encoded(work), _alphas()
    per_picture = 3
    (empty, empty_pooled), *cached = [(c.clone(), p.clone()) for c, p in _cached_texts(work, pool, per_picture)]
    unet = UNet2DConditionModel.from_pretrained(work / "unet-joint", torch_dtype=torch.float32)
    trainee = Trainee(
        {"unet": unet}, torch.optim.AdamW(unet.parameters(), betas=(0.9, 0.99), weight_decay=0.01), 0.9995
    )

    def loss_at(step: int) -> Tensor:
        number, chosen, latents = _batches(pool, step, batch)
        which = torch.randint(per_picture, (batch,))
        context = cached[number][0][chosen, which].float()
        pooled = cached[number][1][chosen, which].float()
        dice = torch.rand(batch)
        blank = dice < EMPTY_CAPTION_RATE
        context[blank], pooled[blank] = empty, empty_pooled
        zero = dice > 1 - ZERO_EMBEDDING_RATE
        context[zero], pooled[zero] = 0, 0
        return _denoising_loss(unet, alphas, latents, context, pooled, pool[number].time_ids[chosen])

    train(trainee, loss_at, steps, 1e-3, work / "unet.pt")
    trainee.averages["unet"].save_pretrained(work / "unet")  # type: ignore[operator]


# -------------------------------------------------------------------------------------------------------------- ship
def ship(work: Path, target: Path) -> None:
    """Write the finished model as an SDXL folder of fp16 safetensors."""
    from diffusers import UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTextModelWithProjection

    vae = work / "vae-final" if (work / "vae-final").exists() else work / "vae"
    pipeline = StableDiffusionXLPipeline(
        vae=AutoencoderKL.from_pretrained(vae, torch_dtype=torch.float16),
        text_encoder=CLIPTextModel.from_pretrained(work / "text_encoder-joint", dtype=torch.float16),
        text_encoder_2=CLIPTextModelWithProjection.from_pretrained(work / "text_encoder_2-joint", dtype=torch.float16),
        tokenizer=CLIPTokenizer.from_pretrained(work / "tokenizer"),
        tokenizer_2=CLIPTokenizer.from_pretrained(work / "tokenizer_2"),
        unet=UNet2DConditionModel.from_pretrained(work / "unet", torch_dtype=torch.float16),
        scheduler=architecture.scheduler(),
        force_zeros_for_empty_prompt=True,
        add_watermarker=False,
    )
    pipeline.save_pretrained(target)
    for name in ("tokenizer", "tokenizer_2"):  # the plain files too, which every tool reads
        for file in ("vocab.json", "merges.txt"):
            shutil.copyfile(work / name / file, target / name / file)
    declared = {"bucket_reso_steps": 16, "buckets": descriptions.SHAPES}
    (target / "lora_tui.json").write_text(json.dumps(declared) + "\n", encoding="utf-8")
    print(f"{sum(p.stat().st_size for p in target.rglob('*') if p.is_file()) / 1e6:.1f} MB in {target}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("phase", choices=("vae", "joint", "unet", "decoder", "ship"))
    parser.add_argument("--work", type=Path, default=Path("build/micro"))
    parser.add_argument(
        "--to", type=Path, default=Path(__file__).parent / "micro", help="where `ship` writes the model"
    )
    parser.add_argument("--steps", type=int)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    args.work.mkdir(parents=True, exist_ok=True)
    if args.phase == "ship":
        return ship(args.work, args.to)
    phase, steps, batch = {
        "vae": (train_vae, 7000, 8),
        "joint": (train_joint, 2000, 16),
        "unet": (train_unet, 8_000, 16),
        "decoder": (train_decoder, 1500, 8),
    }[args.phase]
    phase(args.work, args.steps or steps, args.batch or batch)


if __name__ == "__main__":
    main()
