"""The training job: everything the loop needs is made here, one small function for each thing that is made."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import AutocastKwargs
from torch import Tensor

from engine import device as devices
from engine.context import JobContext
from engine.generate.sampler import Sampler
from engine.lora import weights
from engine.lora.metadata import short_hash
from engine.lora.network import LoraNetwork
from engine.lora.start import start_from
from engine.models.checkpoint import load
from engine.models.refusals import refuse_what_cannot_be_had
from engine.models.sdxl import SDXL
from engine.plan import memory_note, prompt_files, sample_prompts
from engine.plan.base_model import BaseModel, recognise
from engine.plan.caption_checks import refused as refused_captions
from engine.plan.dataset import Dataset, scan
from engine.plan.disk import disk_use
from engine.plan.errors import Finding, UserError
from engine.plan.objective import settled
from engine.plan.preservation_checks import check_preservation
from engine.plan.project import Project
from engine.plan.sample_prompts import SamplePrompt
from engine.plan.settings import Settings
from engine.plan.trained_parts import trains_text
from engine.plan.vae import VaeFile, recognise_vae
from engine.plan.validation_checks import refused as refused_split
from engine.runs.events import read_all
from engine.train.checkpointing import Checkpointer, newest, pictures_of, refuse_other_pictures, restore
from engine.train.companions import together
from engine.train.dry_run import DryRun, shortened
from engine.train.encoding import encode_everything
from engine.train.leftovers import clean_up
from engine.train.loop import Training, train
from engine.train.oom import Ladder, reached_by
from engine.train.optimizers import make_optimizer, to_optimize, try_out
from engine.train.parts import make_network
from engine.train.peak import PeakWatch
from engine.train.probe import probe
from engine.train.processes import Processes, device_of
from engine.train.rewind import Rewind
from engine.train.sampling import SampleMaker
from engine.train.saving import Saver, choose_name, session_id
from engine.train.schedule import Schedule, factor, tell_of_another_length
from engine.train.state import Position
from engine.train.validation import Validation
from engine.train.ways_out import ways_out

WEIGHT_DTYPES = {"no": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class Plan:
    """What a job comes to on this machine, before anything is read or loaded."""

    settings: Settings
    base: BaseModel
    vae: VaeFile | None
    device: torch.device
    asked: list[SamplePrompt]


def run(context: JobContext) -> dict[str, Any]:
    """Train a LoRA as `context.job` says.

    Arguments of the job: `no_reg` leaves the regularisation pictures out, to show what they are for; such a LoRA stays
    in its run's folder and is not linked into the project's model/. With `dry_run` the training ends after that many
    steps, draws one sample and saves nothing.
    """
    assert context.job.project is not None
    context.takes_commands = True
    clean_up(context.run, Project.open(context.job.project))
    plan = planned(context)
    try_out(plan.settings, plan.device)  # wrong arguments are said before any work
    with together(context, plan.settings.num_processes, plan.device) as processes:
        return train_lora(context, plan, processes)


def beside(context: JobContext, join: Callable[[torch.device], Processes], number: int) -> None:
    """The same job as another process's, the engine, to do this process's part of each step; it writes nothing."""
    plan = planned(context, number)
    train_lora(context, plan, join(plan.device))


def planned(context: JobContext, number: int = 0) -> Plan:
    """The job as process `number` does it. Raises UserError for what cannot work."""
    job = context.job
    assert job.settings is not None
    settings, base = settled(job.settings, recognise(job.settings.pretrained_model_name_or_path))
    vae = recognise_vae(settings.vae) if settings.vae else None
    device = device_of(devices.choose(job.device, full_size=base.size == "sdxl"), number, settings.num_processes)
    check_precision(settings, device)
    refuse_what_cannot_be_had(settings, device, WEIGHT_DTYPES[settings.mixed_precision])
    refuse(check_preservation(settings, job.trigger, job.class_name))
    refuse(refused_captions(settings))
    return Plan(settings, base, vae, device, prompts_to_draw(settings, base, job.trigger, job.class_name, job.project))


def train_lora(context: JobContext, plan: Plan, processes: Processes) -> dict[str, Any]:
    """Everything that the loop needs, the loop, and what came of it."""
    job, settings, base, device, asked = context.job, plan.settings, plan.base, plan.device, plan.asked
    assert job.project is not None
    project = Project.open(job.project)
    dataset = read_dataset(context, settings)
    factor(settings, dataset.steps.total)  # wrong arguments of the schedule are said before anything is loaded
    with processes.first_goes_first():  # it sets damaged ones aside
        earlier = newest(context)
    if earlier.step:
        refuse_other_pictures(context, earlier.pictures, pictures_of(dataset))
    steps = shortened(dataset.steps, job.dry_run) if job.dry_run else dataset.steps
    context.announce(devices.describe(device), steps.total, steps.epochs)
    if not job.dry_run:
        use = disk_use(settings, dataset, base)
        context.shortage.disk_bytes = use.checkpoint + use.lora

    with context.phase("loading the base model"):
        model = load(
            base,
            dtype=WEIGHT_DTYPES[settings.mixed_precision],
            vae=plan.vae,
            weights=settings.base_weights,
            attention=settings.attention,
        )
    begun = beginning(context, settings, dataset, fingerprint(base, model), earlier)
    accelerator = make_accelerator(settings, device)
    with processes.first_goes_first():
        samples, kept_out, encode, again = encode_everything(
            context, settings, dataset, model, asked, device, accelerator.autocast
        )

    with context.phase("attaching the LoRA"):
        network = make_network(settings, model, device)
        optimizer = accelerator.prepare(make_optimizer(settings, to_optimize(settings, network)))
        schedule = Schedule(settings, optimizer, dataset.steps.total)
        rewind = Rewind(context, settings, begun, network, optimizer, accelerator)
        start = restore(context, begun, network, optimizer, accelerator)
        if settings.network_weights and not start.step:
            start_from(network, weights.read(Path(settings.network_weights)))
    ladder = Ladder(
        context,
        processes,
        network,
        accelerator,
        ways_out(settings, model, samples, kept_out, again),
        batch_size=settings.train_batch_size,
        reached=reached_by(read_all(context.run.events_path)) if context.continues else None,
        noted=lambda taken: memory_note.keep(
            project, settings, taken, devices.describe(device), devices.total_bytes(device)
        ),
    )
    if context.continues:
        context.emit("resumed", from_step=start.step)
        tell_of_another_length(context, settings, dataset.steps.steps_per_epoch, start.step)

    checkpointer = Checkpointer(
        context, settings, dataset.steps.steps_per_epoch, network, optimizer, accelerator, begun, start.step
    )
    forward = probe(model, trains_text(settings), accelerator.autocast)
    saver = Saver(context, settings, dataset, network, begun, start.step, model_dir(context), forward)
    rewind.followers += [checkpointer.forget_after, saver.forget_after]
    if processes.first and start.step < dataset.steps.total:
        saver.make_room_for_more(start.step)
    watch = PeakWatch(settings, base.size, device, start.step)
    sampler = Sampler(model.unet, model.vae, model.scheduler_config, device, accelerator.autocast)
    drawn = asked[:1] if job.dry_run else asked
    samples_maker = SampleMaker(
        context,
        sampler,
        drawn,
        sample_prompts.default_prompt(base.size, *settings.size, settings.seed, settings.sample_sampler),
        encode,
        network.as_saved,
    )
    dry_run = DryRun(context, settings, dataset.steps, steps.total, asked, device) if job.dry_run else None
    training = Training(
        context=context,
        settings=settings,
        steps=dataset.steps,
        processes=processes,
        accelerator=accelerator,
        unet=model.unet,
        dtype=model.unet.dtype,
        network=network,
        optimizer=optimizer,
        schedule=schedule,
        samples=samples,
        scaling_factor=model.vae.config["scaling_factor"],
        ladder=ladder,
        start=start,
        save=saver.save,
        save_step=saver.save_step,
        checkpoint=checkpointer.write,
        sample=watch.around_samples(samples_maker.make, sampler, drawn),
        sample_asked=watch.around_asked(samples_maker.make_asked),
        parked=lambda: all_but_the_lora(model, network, optimizer),
        rewind=rewind,
        dry_run=dry_run,
        validation=Validation.of(context, settings, kept_out, network, model, dataset.steps.steps_per_epoch, device),
    )
    with context.phase("training", steps.total, "steps") as progress:
        progress.done = start.step
        outcome = train(training)
        progress.done = outcome.step
    if not ladder.taken:  # else it was not trained as the settings say
        watch.remember(dataset.used, outcome.step, processes.count)
    if processes.first and outcome.complete and not ladder.taken:
        memory_note.forget(project, settings, devices.describe(device))
    if dry_run is not None:
        return with_memory(dry_run.result(outcome), ladder)
    total = dataset.steps.total
    result = {
        "lora": [str(path) for path in saver.all()],
        "step": outcome.step,
        "total_steps": total,
        "complete": outcome.complete,
        "message": f"Trained {outcome.step} steps."
        if outcome.complete
        else f"Stopped after step {outcome.step} of {total}; everything is saved, and the run can go on from there.",
    }
    return with_memory(result, ladder)


def with_memory(result: dict[str, Any], ladder: Ladder) -> dict[str, Any]:
    """The result, and what the training had to do without."""
    if not ladder.taken:
        return result
    return result | {"memory": ladder.taken, "message": result["message"] + ladder.summary}


def model_dir(context: JobContext) -> Path | None:
    """Where the project shows its LoRAs; None for one that is only made to be compared, and for a dry run, which takes
    no name."""
    job = context.job
    assert job.project is not None
    return None if job.arguments.get("no_reg", False) or job.dry_run else Project.open(job.project).model_dir


def fingerprint(base: BaseModel, model: SDXL) -> str:
    """By which a run knows its base model again: all of its VAE and text encoders, and a sample of each U-Net file."""
    files = [base.path] if base.path.is_file() else sorted((base.path / "unet").glob("*.safetensors"))
    parts = [model.vae_identity, model.text_identity, *(f"{f.stat().st_size} {short_hash(f)}" for f in files)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def beginning(
    context: JobContext, settings: Settings, dataset: Dataset, base_model: str, earlier: Position
) -> Position:
    """The state before the first step. What a run keeps for good it has from its newest checkpoint, `earlier`.

    Raises UserError when that was made with another base model.
    """
    if earlier.step and earlier.base_model != base_model:
        raise UserError(
            "base-model-changed",
            "The base model is not the one that this run was started with, so the run cannot go on.",
            "Put the old file back, or start a new run.",
        )
    session = earlier.session_id or session_id(context.run)
    return Position(
        name=earlier.name or choose_name(context, settings, model_dir(context), session),
        session_id=session,
        started=earlier.started or time.time(),
        base_model=base_model,
        pictures=pictures_of(dataset),
    )


def all_but_the_lora(model: SDXL, network: LoraNetwork, optimizer: torch.optim.Optimizer) -> Iterator[Tensor]:
    """What a long pause can do without on the GPU; the LoRA stays, so that it can be saved at any time."""
    kept = {flat.untyped_storage().data_ptr() for flat in network.parameters}
    states = (value for state in optimizer.state.values() for value in state.values() if isinstance(value, Tensor))
    grads = (flat.grad for flat in network.parameters if flat.grad is not None)
    others = (model.text_encoder, model.text_encoder_2, model.vae)
    modules = (model.unet, *(module for module in others if module.device.type != "cpu"))
    weights = (tensor for module in modules for tensor in (*module.parameters(), *module.buffers()))
    for tensor in (*weights, *states, *grads):
        if tensor.untyped_storage().data_ptr() not in kept:
            yield tensor


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


def refuse(findings: Iterable[Finding]) -> None:
    """Raises UserError for the first of them: options that do not go together."""
    for finding in findings:
        raise finding.as_error()


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
    # A file may have changed while the run waited; what nobody may overrule cannot be trained.
    refuse(finding for finding in dataset.findings if finding.level == "error" and not finding.overridable)
    refuse(refused_split(settings, dataset))
    for finding in dataset.findings:
        if finding.level != "note":
            context.warn(finding.code, str(finding))
    return dataset


def prompts_to_draw(
    settings: Settings, base: BaseModel, trigger: str, class_name: str, folder: Path | None = None
) -> list[SamplePrompt]:
    """What to draw while training; without own prompts the guide's "TRIGGER, a photo of a CLASS". Files of prompts are
    looked for in `folder`. Raises UserError."""
    width, height = settings.size
    lines = prompt_files.expanded(settings.sample_prompts, folder) or (
        sample_prompts.guide_prompt(trigger, class_name),
    )
    default = sample_prompts.default_prompt(base.size, width, height, settings.seed, settings.sample_sampler)
    return [sample_prompts.parse(line, default) for line in lines]


def make_accelerator(settings: Settings, device: torch.device) -> Accelerator:
    if device.type == "cuda":
        torch.cuda.set_device(device)
    # Autocast would keep the half copy of every LoRA weight to the end of the forward pass, half a gigabyte at rank 96
    # that gradient checkpointing has no use for; no weight is used twice in a pass, so nothing is cast again.
    once = AutocastKwargs(cache_enabled=False)
    return Accelerator(mixed_precision=settings.mixed_precision, cpu=device.type == "cpu", kwargs_handlers=[once])
