"""Judgements on a training by the GPU that it is for: what cannot run there, what runs badly, what does not fit.

`gpu` may be this machine's or one from the catalogue; only of this machine's something is known to fail, which has to
be confirmed before it is started.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from engine.plan.base_model import BaseModel
from engine.plan.errors import Finding, few, plural
from engine.plan.gpu_room import fits_tightly, room
from engine.plan.gpus import Found, Gpu, gib
from engine.plan.machine import Memory
from engine.plan.memory_fixes import Fix, Predict, applied, epoch_in, fixes_on
from engine.plan.remedy import set_line, set_lines
from engine.plan.settings import Settings

CODES = frozenset(
    {
        "adamw8bit-needs-nvidia", "different-gpus", "does-not-fit", "does-not-fit-now", "fp16-needless",
        "gpu-memory-taken", "little-ram", "memory-fix", "no-bf16", "no-gpu", "needs-nvidia", "old-gpu", "tight-memory",
        "too-few-gpus",
    }
)  # fmt: skip
"""Of all findings here."""

CANNOT_RUN = frozenset({"adamw8bit-needs-nvidia", "needs-nvidia"})
"""Of `check_gpu`: what is made for other GPUs."""
NO_LONGER_BUILT_FOR = (7, 5)
"""Older GPUs (Pascal, Volta) are not among those that PyTorch's builds for CUDA 12.8 and newer have kernels for."""
TAKEN_SHARE = 0.15  # of a GPU's memory that other programs may have before it is worth a word
LITTLE_RAM_BYTES = 10 * 10**9  # reading full-size SDXL took 8.1 GB (docs/full-size.md)


def check_hardware(
    settings: Settings,
    base: BaseModel | None,
    found: Found,
    memory: Memory,
    planned: Gpu | None = None,
    predict: Predict | None = None,
) -> list[Finding]:
    """All that is worth saying of a training of full-size SDXL; the practice model runs anywhere.

    Where no base model is chosen yet it will be a full-size one (`estimate` has it so too); that it needs a GPU is said
    once it is.

    found, memory: of this machine. planned: a GPU elsewhere that the training is meant for; then of this machine only
    what keeps it from being started here. predict: bytes at the peak; without it nothing is said of what fits.
    """
    if base is not None and base.size != "sdxl":
        return []
    said = list(check_machine(settings, base, found, memory))
    own = smallest(found.gpus, settings.num_processes)
    if own is not None:
        said += _of_a_gpu(settings, own, predict)
    if planned is None:
        return said
    there = _of_a_gpu(settings, planned, predict)
    return there + [finding for finding in said if finding.stops_training()]  # first what is asked about


def _of_a_gpu(settings: Settings, gpu: Gpu, predict: Predict | None) -> list[Finding]:
    said = list(check_gpu(settings, gpu))
    return said + list(check_memory(mended(settings, said), gpu, predict)) if predict is not None else said


def unable(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Those of `check_gpu` by which a training as it is cannot run on that GPU at all."""
    return tuple(finding for finding in findings if finding.code in CANNOT_RUN)


def mended(settings: Settings, findings: Iterable[Finding]) -> Settings:
    """The settings with what cannot run there set as it can: it is these that have to fit."""
    changes = {name: value for finding in unable(findings) for name, value in finding.changes.items()}
    return applied(settings, changes) if changes else settings


def check_gpu(settings: Settings, gpu: Gpu) -> Iterator[Finding]:
    """What does not run on this GPU, or badly."""
    yield from _precision(settings, gpu)
    yield from _needs_nvidia(settings, gpu)
    if gpu.kind == "cuda" and gpu.capability is not None and gpu.capability < NO_LONGER_BUILT_FOR:
        yield Finding(
            "old-gpu",
            f"{gpu.name} (compute capability {gpu.capability_in_words}) is older than what PyTorch's newest builds are "
            "made for.",
            "Install the build for CUDA 12.6, the last that knows it: see https://pytorch.org/get-started/locally/",
            level="note",
        )


def _precision(settings: Settings, gpu: Gpu) -> Iterator[Finding]:
    if settings.mixed_precision == "bf16" and gpu.bf16 is False:
        yield Finding(
            "no-bf16",
            f"{gpu.name} does not calculate in bf16, only imitates it: steps take several times as long. fp16 is its "
            "own; gradients are then scaled so that small ones are not lost, and the VAE and the LoRA stay in 32 bits, "
            "both by itself.",
            set_line("mixed_precision", '"fp16"'),
            option="mixed_precision",
            value="fp16",
            blocks_training=gpu.here,
        )
    elif settings.mixed_precision == "fp16" and gpu.kind == "mps":
        yield Finding(
            "needs-nvidia",
            f"mixed_precision fp16 needs an NVIDIA GPU; {gpu.name} is none.",
            set_line("mixed_precision", '"bf16"'),
            option="mixed_precision",
            value="bf16",
            blocks_training=gpu.here,
            overridable=False,
        )
    elif settings.mixed_precision == "fp16" and gpu.bf16:
        yield Finding(
            "fp16-needless",
            f"{gpu.name} calculates in bf16, which is as fast as fp16 and does not overflow.",
            set_line("mixed_precision", '"bf16"'),
            level="note",
            option="mixed_precision",
            value="bf16",
        )


def _needs_nvidia(settings: Settings, gpu: Gpu) -> Iterator[Finding]:
    """What the engine refuses elsewhere (engine.models.refusals), or the package does."""
    if gpu.kind == "mps":
        for option, usual in (("base_weights", "full"), ("attention", "sdpa")):
            value = getattr(settings, option)
            if value != usual:
                yield Finding(
                    "needs-nvidia",
                    f"{option} {value} needs an NVIDIA GPU; {gpu.name} is none.",
                    set_line(option, f'"{usual}"'),
                    option=option,
                    value=usual,
                    blocks_training=gpu.here,
                    overridable=False,
                )
    if settings.optimizer_type == "AdamW8bit" and gpu.kind != "cuda":
        yield Finding(
            "adamw8bit-needs-nvidia",
            f"optimizer_type AdamW8bit is made for NVIDIA GPUs; {gpu.name} is none.",
            set_line("optimizer_type", '"AdamW"'),
            option="optimizer_type",
            value="AdamW",
            blocks_training=gpu.here,
        )


def check_machine(settings: Settings, base: BaseModel | None, found: Found, memory: Memory) -> Iterator[Finding]:
    """What this machine as a whole is not made for: no GPU, too few, different ones, taken ones, little memory."""
    full_size = base is not None and base.size == "sdxl"
    if full_size and not found.gpus and not found.unsure:
        why = f" {found.problem}" if found.problem else ""
        yield Finding(
            "no-gpu",
            f"Full-size SDXL needs a GPU, and none is found in this machine.{why}",
            " ".join(filter(None, (found.advice, "Train on a machine with one; on the processor it takes days "
            "(lora-tui train --device cpu)."))),
            blocks_training=True,
        )  # fmt: skip
    if full_size and memory.total_bytes < LITTLE_RAM_BYTES:
        yield Finding(
            "little-ram",
            f"Reading full-size SDXL takes about 8 GB of the machine's memory, and {_where(memory)} "
            f"{memory.total_bytes / 1e9:.1f} GB.",
            "A base model in half precision needs least; close other programs, or take a machine with 16 GB.",
        )
    wanted, gpus = settings.num_processes, found.gpus
    if wanted > 1 and len(gpus) < wanted and not found.unsure:
        most = max(1, len(gpus))
        yield Finding(
            "too-few-gpus",
            f"num_processes {wanted} needs as many GPUs, and this machine has {len(gpus) or 'none'}.",
            set_line("num_processes", str(most)),
            option="num_processes",
            value=most,
            blocks_training=True,
            overridable=False,
        )
    if full_size:
        yield from _different(wanted, gpus)
        for gpu in gpus[:wanted]:
            yield from _taken(gpu)


def _where(memory: Memory) -> str:
    return "this container may use" if memory.limited else "this machine has"


def _different(wanted: int, gpus: Sequence[Gpu]) -> Iterator[Finding]:
    if len({gpu.full_name for gpu in gpus}) < 2:
        return
    names = ", ".join(f"{gpu.full_name} (cuda:{number})" for number, gpu in enumerate(gpus))
    if wanted > 1:
        yield Finding(
            "different-gpus",
            f"The GPUs are different: {names}. Together they are as fast as the slowest, and hold what the smallest "
            "holds.",
            set_line("num_processes", "1"),
            option="num_processes",
            value=1,
        )
    else:
        yield Finding(
            "different-gpus",
            f"The GPUs are different: {names}. The training takes the first, {gpus[0].name}.",
            "Another one is named when it is started: lora-tui train --device cuda:1",
            level="note",
        )


def _taken(gpu: Gpu) -> Iterator[Finding]:
    if gpu.total_bytes is None or gpu.free_bytes is None or gpu.kind == "mps":
        return
    taken = gpu.total_bytes - gpu.free_bytes
    if taken < TAKEN_SHARE * gpu.total_bytes:
        return
    by = taken_by(gpu)
    yield Finding(
        "gpu-memory-taken",
        f"{gib(taken)} of the {gib(gpu.total_bytes)} of {gpu.name} are taken now{f', by {by}' if by else ''}.",
        "Close what you do not need before you start.",
        level="note",
    )


def taken_by(gpu: Gpu) -> str:
    """The programs that take its memory, and how much: `ollama (9.0 GiB), Xorg`; "" where nobody tells."""
    return few(f"{user.name} ({gib(user.bytes)})" if user.bytes else user.name for user in gpu.users)


def check_memory(settings: Settings, gpu: Gpu, predict: Predict) -> Iterator[Finding]:
    """Whether the training fits, and each thing that would make it fit. `predict`: bytes at the peak for settings."""
    there = room(gpu)
    if there is None:
        return
    peak, total, epoch = predict(settings), gpu.total_bytes or there, epoch_in(predict, settings)
    counted = f" {epoch.in_words}" if epoch is not None and epoch.in_words else ""
    if peak <= there:
        if fits_tightly(peak, there):
            has = f"{gib(there)} that {gpu.name} has{' free' if gpu.free_bytes is not None else ''}"
            yield Finding(
                "tight-memory",
                f"The training needs {gib(peak)} at its peak, nearly all of the {has}: it may run out, or, under "
                f"Windows, become many times slower.{counted}",
                "Close other programs that use the GPU, or make one of the changes that lora-tui estimate lists.",
            )
        return
    found = fixes_on(settings, gpu, predict)
    saved = peak - sum(fix.saves_bytes for fix in found)
    enough = f"With the changes that lora-tui estimate lists it needs {gib(saved)}"
    hint = f"{enough}." if saved <= there else f"{enough}, which is still too much: a larger GPU is needed."
    if there < saved <= total:
        hint = f"{enough}, which is still too much until what takes the GPU's memory is closed."
    elif not found:
        hint = "Nothing more helps: a larger GPU is needed."
    if peak <= total:  # it would fit an idle one
        or_else = f" Or else: {enough[0].lower()}{enough[1:]}." if found and saved <= there else ""
        fits_not, hint = "does-not-fit-now", f"Close what takes the GPU's memory.{or_else}"
        has = f"{gpu.name} has {gib(there)} of its {gib(total)} free"
    else:
        fits_not, has = "does-not-fit", f"{gpu.name} has {gib(there)}{' free' if gpu.free_bytes is not None else ''}"
    yield Finding(
        fits_not,
        f"The training needs {gib(peak)} at its peak, and {has}.{counted}",
        hint,
        blocks_training=gpu.here,
    )
    for fix in found:
        yield as_finding(fix)


def as_finding(fix: Fix) -> Finding:
    """A fix as a finding, so that one key applies it wherever findings are shown."""
    return Finding(
        "memory-fix",
        f"{fix.option} = {_plain(fix.value)} saves {gib(fix.saves_bytes)}. {fix.why}",
        set_lines(fix.changes),
        option=fix.option,
        value=fix.value,
        also=tuple(fix.also.items()),
    )


def _plain(value: object) -> str:
    if isinstance(value, list | tuple):
        return " ".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def smallest(gpus: Sequence[Gpu], processes: int) -> Gpu | None:
    """Of the GPUs that a training on so many of them takes, the one with the least room; None where there is none."""
    taken = gpus[: max(1, processes)]
    return min(taken, key=lambda gpu: room(gpu) or 0) if taken else None


def summary(found: Found) -> str:
    """The GPUs in a few words: `2 GPUs: RTX 3090 (24.0 GiB), RTX 3060 (12.0 GiB)`."""
    if not found.gpus:
        return "no GPU"
    names = few(gpu.full_name for gpu in found.gpus)
    return names if len(found.gpus) == 1 else f"{plural(len(found.gpus), 'GPU')}: {names}"
