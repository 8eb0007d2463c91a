"""The training job: everything the loop needs is made here, one small function for each thing that is made."""

from __future__ import annotations

from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from engine import device as devices
from engine.context import JobContext
from engine.data.cache import Latents, Texts
from engine.data.samples import Samples
from engine.generate import prompts
from engine.generate.prompts import SamplePrompt
from engine.generate.sampler import EncodedPrompt, Sampler, encode
from engine.lora.network import attach
from engine.models.checkpoint import load
from engine.models.sdxl import SDXL
from engine.plan.base_model import BaseModel, recognise
from engine.plan.buckets import size_conditioning
from engine.plan.dataset import Dataset, scan
from engine.plan.errors import UserError
from engine.plan.project import Project
from engine.plan.settings import Settings
from engine.train.loop import Training, train
from engine.train.optimizers import make_optimizer
from engine.train.sampling import SampleMaker
from engine.train.saving import Saver

WEIGHT_DTYPES = {"no": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def run(context: JobContext) -> dict[str, Any]:
    """Train a LoRA as `context.job` says.

    Argument of the job: `no_reg` leaves the regularisation pictures out, to show what they are for; such a LoRA stays
    in its run's folder and is not linked into the project's model/.
    """
    job = context.job
    assert job.settings is not None
    assert job.project is not None
    settings = job.settings
    base = recognise(settings.pretrained_model_name_or_path)
    device = devices.choose(job.device, full_size=base.size == "sdxl")
    check_precision(settings, device)
    asked = sample_prompts(settings, base, job.trigger, job.class_name)
    make_optimizer(settings, [torch.nn.Parameter(torch.zeros(1))])  # wrong arguments are said before any work
    dataset = read_dataset(context, settings)
    context.announce(devices.describe(device), dataset.steps.total, dataset.steps.epochs)

    with context.phase("loading the base model"):
        model = load(base, dtype=WEIGHT_DTYPES[settings.mixed_precision])
    samples, encoded = encode_everything(context, settings, dataset, model, asked, device)

    with context.phase("attaching the LoRA"):
        accelerator = make_accelerator(settings, device)
        model.unet.to(device)
        network = attach(model.unet, settings.network_dim, settings.network_alpha, settings.seed)
        if settings.gradient_checkpointing:
            model.unet.enable_gradient_checkpointing()
        optimizer = accelerator.prepare(make_optimizer(settings, network.parameters))

    saver = Saver(context, settings, dataset, network, Project.open(job.project).model_dir)
    sampler = Sampler(model.unet, model.vae, model.scheduler_config, device, accelerator.autocast)
    training = Training(
        context=context,
        settings=settings,
        steps=dataset.steps,
        accelerator=accelerator,
        unet=model.unet,
        dtype=model.unet.dtype,
        network=network,
        optimizer=optimizer,
        samples=samples,
        scaling_factor=model.vae.config["scaling_factor"],
        save=saver.save,
        sample=SampleMaker(context, sampler, encoded).make,
    )
    with context.phase("training", dataset.steps.total, "steps") as progress:
        outcome = train(training)
        progress.done = outcome.step
    total = dataset.steps.total
    return {
        "lora": [str(path) for path in saver.published],
        "step": outcome.step,
        "total_steps": total,
        "complete": outcome.complete,
        "message": f"Trained {outcome.step} steps."
        if outcome.complete
        else f"Stopped after step {outcome.step} of {total}; the LoRA so far is saved.",
    }


def check_precision(settings: Settings, device: torch.device) -> None:
    """Refuse what the device cannot do, before anything is loaded."""
    if settings.mixed_precision == "fp16" and device.type != "cuda":
        raise UserError(
            "bad-precision",
            f"mixed_precision fp16 needs an NVIDIA GPU; this run is on {devices.describe(device)}.",
            "Set mixed_precision to bf16 or no.",
        )
    if settings.mixed_precision == "bf16" and device.type == "cuda" and not torch.cuda.is_bf16_supported():
        raise UserError(
            "bad-precision", f"{devices.describe(device)} cannot compute in bf16.", "Set mixed_precision to fp16."
        )


def read_dataset(context: JobContext, settings: Settings) -> Dataset:
    """The project's pictures as they are now, with the repeats and omissions that the job was started with."""
    job = context.job
    assert job.project is not None
    project = Project.open(job.project)
    project.repeats, project.left_out = dict(job.repeats), list(job.left_out)
    if job.arguments.get("no_reg", False):
        project.left_out += [project.relative(path) for path in sorted(project.reg_dir.glob("*/*"))]
    with context.phase("reading pictures", unit="pictures") as progress:
        dataset = scan(project, settings, progress)
    for finding in dataset.findings:
        if finding.level != "note":
            context.warn(finding.code, str(finding))
    return dataset


def sample_prompts(settings: Settings, base: BaseModel, trigger: str, class_name: str) -> list[SamplePrompt]:
    """What to draw while training; without own prompts the guide's "TRIGGER, a photo of a CLASS"."""
    width, height = settings.size
    lines = settings.sample_prompts or (prompts.guide_prompt(trigger, class_name),)
    default = prompts.default_prompt(base.size, width, height, settings.seed)
    return [prompts.parse(line, default) for line in lines]


def encode_everything(
    context: JobContext,
    settings: Settings,
    dataset: Dataset,
    model: SDXL,
    asked: list[SamplePrompt],
    device: torch.device,
) -> tuple[Samples, list[EncodedPrompt]]:
    """Latents and texts through the caches; afterwards VAE and text encoders leave the GPU."""
    assert context.job.project is not None
    cache = Project.open(context.job.project).cache_dir
    pictures = list(dataset.used)
    with context.phase("encoding captions", unit="captions") as progress:
        wanted = ["", *(p.caption for p in pictures), *(text for a in asked for text in (a.prompt, a.negative))]
        texts = Texts(cache, model, device).load(wanted, progress)
    model.text_encoder.to("cpu")
    model.text_encoder_2.to("cpu")
    with context.phase("encoding pictures", len(pictures), "pictures") as progress:
        latents: list[tuple[Tensor, Tensor]] = Latents(cache, model, device).load(pictures, progress)
    model.vae.to("cpu")
    if device.type == "cuda":
        torch.cuda.empty_cache()
    conditioning = [size_conditioning(p.bucket, (p.width, p.height)) for p in pictures]
    samples = Samples(pictures, latents, texts, conditioning, settings.prior_loss_weight)
    return samples, [encode(a, texts) for a in asked]


def make_accelerator(settings: Settings, device: torch.device) -> Accelerator:
    if device.type == "cuda":
        torch.cuda.set_device(device)
    return Accelerator(mixed_precision=settings.mixed_precision, cpu=device.type == "cpu")
