"""The loss: the error of what was predicted, judged number by number, weighted by timestep and by kind of picture."""

from __future__ import annotations

from torch import Tensor

from engine.data.samples import MicroBatch
from engine.train.objective import LossType, Objective


def denoising_loss(predicted: Tensor, batch: MicroBatch, objective: Objective) -> Tensor:
    """Scalar: mean over the batch of each sample's weighted mean error, in fp32. predicted: (B, 4, h, w).

    `batch.weights` is prior_loss_weight for regularisation pictures and 1 otherwise; as in sd-scripts
    (`train_network.process_batch`) the mean is not renormalised by them, nor by the timesteps' weights,
    nor by `batch.masks`, which multiply each place's error (`apply_masked_loss`).
    """
    return weighted(predicted, objective.target(batch), batch, objective, batch.weights, batch.masks)


def weighted(
    predicted: Tensor,
    target: Tensor,
    batch: MicroBatch,
    objective: Objective,
    weights: Tensor,
    masks: Tensor | None = None,
) -> Tensor:
    """Scalar: the error of `predicted` against `target`, both (B, 4, h, w), as `denoising_loss` judges it; `weights`
    (B,) of the samples, `masks` (B, h, w) of their places."""
    bounds = None if objective.bounds is None else objective.bounds[batch.timesteps][:, None, None, None]
    errors = judged(predicted.float() - target.float(), objective.loss_type, bounds)
    if masks is not None:
        errors = errors * masks[:, None]
    error = errors.mean(dim=(1, 2, 3)) * weights
    if objective.weights is not None:
        error = error * objective.weights[batch.timesteps]
    return error.mean()


def judged(difference: Tensor, loss_type: LossType, bounds: Tensor | None = None) -> Tensor:
    """Each number's loss: d², |d|, for huber 2c(√(d²+c²) − c), for smooth_l1 2(√(d²+c²) − c) (`conditional_loss`).

    bounds: c, in a shape that broadcasts with `difference`; the last two kinds need it.
    """
    if loss_type == "l2":
        return difference.square()
    if loss_type == "l1":
        return difference.abs()
    assert bounds is not None
    loss = 2.0 * ((difference.square() + bounds.square()).sqrt() - bounds)
    return loss * bounds if loss_type == "huber" else loss
