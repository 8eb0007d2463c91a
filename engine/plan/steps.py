"""The length of a training: pictures, repeats, regularisation pictures, batches, epochs, steps; and why, in words.

Formulas after sd-scripts (`train_util.DreamBoothDataset.__init__`, `BaseDataset.make_buckets`,
`train_network.train`). A batch of several processes is a batch for each, cut out of one bucket; sd-scripts deals whole
batches out to the processes instead, which is the same where buckets divide by it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from engine.plan.errors import plural


@dataclass(frozen=True)
class Steps:
    """The arithmetic of a training.

    num_train_images, num_reg_images: pictures in an epoch, repeats counted, after balancing. num_reg_on_disk: usable
    regularisation pictures. batches_per_epoch: forward passes. total: optimizer steps. explanation: lines of text.
    """

    num_train_images: int
    num_reg_images: int
    num_reg_on_disk: int
    batches_per_epoch: int
    steps_per_epoch: int
    epochs: int
    total: int
    explanation: str


@dataclass(frozen=True)
class Amounts:
    """What the arithmetic starts from.

    train: (pictures, repeats) of each folder. reg_repeats: how often each regularisation picture is used after
    balancing, 0 for those that are not. bucket_counts: pictures in an epoch by bucket, repeats counted. validated:
    pictures that are kept out of the training, and are not among the others.
    """

    train: Sequence[tuple[int, int]]
    bucket_counts: Mapping[tuple[int, int], int]
    reg_repeats: Sequence[int] = field(default_factory=tuple)
    validated: int = 0


def balance(repeats: Sequence[int], target: int) -> list[int]:
    """How often each regularisation picture is used so that together they are as many as the others, `target`.

    repeats: what their folders say, in order. They are taken in order until there are enough; the rest stays unused
    (0). Where all are too few, each is used once more in turn. The last one taken may overshoot, as in sd-scripts.
    """
    answer = [0] * len(repeats)
    count = 0
    for index, times in enumerate(repeats):
        if count >= target:
            return answer
        answer[index] = times
        count += times
    if answer and count < target:
        rounds, rest = divmod(target - count, len(answer))
        answer = [times + rounds + (index < rest) for index, times in enumerate(answer)]
    return answer


def batches_per_epoch(bucket_counts: Mapping[tuple[int, int], int], batch_size: int) -> int:
    """Σ ceil(count / batch size) over the buckets: a batch holds one size, and the last of a bucket may be short."""
    return sum(-(-count // batch_size) for count in bucket_counts.values())


def count_steps(amounts: Amounts, *, batch_size: int, accumulation: int, epochs: int, processes: int = 1) -> Steps:
    """The whole arithmetic. steps per epoch = ceil(batches / accumulation); total = epochs × steps per epoch.

    batch_size: of each of the `processes`, which together take a batch of batch_size × processes.
    """
    batch_size *= processes
    batches = batches_per_epoch(amounts.bucket_counts, batch_size)
    per_epoch = -(-batches // accumulation)
    steps = Steps(
        num_train_images=sum(pictures * repeats for pictures, repeats in amounts.train),
        num_reg_images=sum(amounts.reg_repeats),
        num_reg_on_disk=len(amounts.reg_repeats),
        batches_per_epoch=batches,
        steps_per_epoch=per_epoch,
        epochs=epochs,
        total=epochs * per_epoch,
        explanation="",
    )
    lines = [_train_line(amounts, steps)]
    if amounts.validated:
        kept = "1 more is" if amounts.validated == 1 else f"{amounts.validated:,} more are"
        lines.append(f"{kept} kept for validation and not trained.")
    if amounts.reg_repeats:
        lines.append(_reg_line(amounts, steps))
    lines.append(_batch_line(amounts, steps, batch_size))
    if processes > 1:
        lines.append(f"Each of {processes} GPUs takes {batch_size // processes} of a batch.")
    if accumulation > 1:
        lines.append(f"One step takes {accumulation} batches: {plural(per_epoch, 'step')} an epoch.")
    lines.append(f"{plural(per_epoch, 'step')} × {plural(epochs, 'epoch')} = {plural(steps.total, 'step')}.")
    lines.append(_guide_line(amounts, steps, batch_size, accumulation))
    return Steps(**{**vars(steps), "explanation": "\n".join(lines)})


def _train_line(amounts: Amounts, steps: Steps) -> str:
    if len(amounts.train) > 3:
        sums = f"{plural(sum(pictures for pictures, _ in amounts.train), 'picture')} in {len(amounts.train)} folders"
        return f"Your pictures: {sums}, each times its repeats = {steps.num_train_images} in an epoch."
    sums = " + ".join(f"{plural(pictures, 'picture')} × {plural(times, 'repeat')}" for pictures, times in amounts.train)
    return f"Your pictures: {sums} = {steps.num_train_images:,} in an epoch."


def _reg_line(amounts: Amounts, steps: Steps) -> str:
    used = [times for times in amounts.reg_repeats if times]
    unused = steps.num_reg_on_disk - len(used)
    line = f"Regularisation pictures: as many again, {steps.num_reg_images:,}"
    if unused:
        return f"{line}, from {steps.num_reg_on_disk} on disk ({unused} not used)."
    low, high = min(used), max(used)
    if high == 1:
        return f"{line}, each of them once."
    times = f"{low} times" if low == high else f"{low} to {high} times"
    return f"{line}, since each of the {steps.num_reg_on_disk} is used {times}."


def _batch_line(amounts: Amounts, steps: Steps, batch_size: int) -> str:
    together = steps.num_train_images + steps.num_reg_images
    both = f"{steps.num_train_images:,} + {steps.num_reg_images:,} = " if steps.num_reg_images else ""
    whole = f"{both}{together:,}"
    batches = plural(steps.batches_per_epoch, "batch", "batches")
    counts = [count for _, count in sorted(amounts.bucket_counts.items())]
    if batch_size == 1 or len(counts) == 1:
        return f"{whole} pictures in batches of {batch_size}: {batches} an epoch."
    if len(counts) <= 4:
        sums = " + ".join(str(-(-count // batch_size)) for count in counts)
        parts = f"{sums} = {batches}"
    else:
        parts = batches
    return (
        f"{whole} pictures in batches of {batch_size}. A batch holds one shape only, and there are {len(counts)} "
        f"shapes: {parts} an epoch."
    )


def _guide_line(amounts: Amounts, steps: Steps, batch_size: int, accumulation: int) -> str:
    """What the guide's rule says, and what it leaves out."""
    simple = steps.num_train_images * steps.epochs
    if len(amounts.train) == 1:
        pictures, repeats = amounts.train[0]
        rule = f"pictures × repeats × epochs = {pictures} × {repeats} × {steps.epochs} = {simple:,}"
    else:
        rule = f"pictures × repeats × epochs = {simple:,}"
    reasons = []
    if steps.num_reg_images:
        reasons.append("regularisation pictures double the number")
    if batch_size > 1:
        reasons.append(f"{batch_size} pictures share a step")
    if accumulation > 1:
        reasons.append(f"{accumulation} batches share a step")
    if len(amounts.bucket_counts) > 1 and batch_size > 1:
        reasons.append("each shape may end in a short batch")
    if not reasons:
        return f"The guide's rule says the same: {rule}."
    why = f"{', '.join(reasons[:-1])} and {reasons[-1]}" if len(reasons) > 1 else reasons[0]
    if simple == steps.total:
        return f"The guide's simple rule, {rule}, comes to the same here only because {why}."
    return f"The guide's simple rule says {rule}. It is not so here because {why}."
