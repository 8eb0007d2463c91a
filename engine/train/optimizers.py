"""Making the optimizer, over the network's flat buffers or over its single tensors, and trying it before any work."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from engine.lora.network import LoraNetwork
from engine.optimizer_class import find
from engine.plan.errors import UserError, inert
from engine.plan.optimizers import ON_FLAT_BUFFERS, PIECE
from engine.plan.settings import Settings
from engine.plan.trained_parts import rates
from engine.train.state import with_tensors, without_tensors


def to_optimize(settings: Settings, network: LoraNetwork) -> list[dict[str, Any]]:
    """A group for each part of the network, with its rate: the two flat buffers, large ones in pieces, or the downs and
    ups. Pieces, downs and ups are views of the buffers, gradients too.

    Clipping, the max-norm and checkpoints work on the flat buffers either way.
    """
    flat, own = settings.optimizer_type in ON_FLAT_BUFFERS, rates(settings)
    return [
        {
            "params": [piece for buffer in part.parameters for piece in _pieces(buffer)]
            if flat
            else [weight for m in part.modules for weight in (m.down, m.up)],
            "lr": None if settings.finds_its_own_rate else own[part.name],
        }
        for part in network.parts
    ]


def _pieces(buffer: nn.Parameter) -> list[nn.Parameter]:
    """The buffer itself, or views of it one after the other."""
    if len(buffer) <= PIECE:
        return [buffer]
    assert buffer.grad is not None
    pieces = []
    for values, grad in zip(buffer.detach().split(PIECE), buffer.grad.split(PIECE), strict=True):
        piece = nn.Parameter(values)
        piece.grad = grad
        pieces.append(piece)
    return pieces


def make_optimizer(
    settings: Settings, parameters: Sequence[nn.Parameter] | Sequence[dict[str, Any]]
) -> torch.optim.Optimizer:
    """The optimizer named by `optimizer_type` with `learning_rate` and `optimizer_args`. `parameters` may be groups
    with rates of their own, as `to_optimize` gives them.

    Raises UserError: `no-such-optimizer`, `bad-optimizer-args` for an argument that the optimizer does not take.
    """
    kind: Any = find(settings.optimizer_type)
    rate = None if settings.finds_its_own_rate else settings.learning_rate
    try:
        with contextlib.redirect_stdout(io.StringIO()) as said:  # prodigyopt prints "Using decoupled weight decay"
            optimizer: torch.optim.Optimizer = kind(parameters, lr=rate, **_arguments(settings))
    except Exception as error:
        raise _bad_arguments(settings, error) from error
    if said.getvalue():
        logging.getLogger(__name__).info("%s: %s", settings.optimizer_type, said.getvalue().strip())
    return optimizer


def _arguments(settings: Settings) -> dict[str, Any]:
    """`optimizer_args`. AdamW is told to take one tensor after the other: on a GPU it would work on all of them at
    once, with temporary copies as large as the whole LoRA, which for a few large tensors gains nothing."""
    given = settings.optimizer_kwargs
    if settings.optimizer_type == "AdamW" and not {"foreach", "fused"} & given.keys():
        return {**given, "foreach": False}
    return given


def try_out(settings: Settings, device: torch.device) -> None:
    """Let the optimizer do one step with a small tensor, so that what cannot work is said before anything is loaded.

    Raises UserError: as `make_optimizer` does, and `optimizer-does-not-fit`.
    """
    parameter = nn.Parameter(torch.zeros(4, 4, device=device))
    parameter.grad = torch.full_like(parameter, 1e-3)
    optimizer = make_optimizer(settings, [parameter])
    if callable(getattr(optimizer, "train", None)) and callable(getattr(optimizer, "eval", None)):
        raise UserError(
            "optimizer-does-not-fit",
            f"{settings.optimizer_type} is schedule-free: its weights have to be changed before every save, which is "
            "not done here.",
            "Take another optimizer, for example AdamW with lr_scheduler cosine.",
        )
    try:
        optimizer.step()
    except Exception as error:
        if settings.optimizer_args:  # some classes look at their arguments only now
            raise _bad_arguments(settings, error) from error
        raise _does_not_fit(settings, error) from error
    if not _comes_back(optimizer, make_optimizer(settings, [parameter])):
        raise UserError(
            "optimizer-does-not-fit",
            f"{settings.optimizer_type} keeps something that does not come back from a checkpoint as it was, so a "
            "training could not be resumed.",
            "Take another optimizer.",
        )


def effective_rates(optimizer: torch.optim.Optimizer) -> tuple[list[float], float | None]:
    """The rates that the groups' weights really move at, and Prodigy's estimate d (None for others).

    No device is asked. Of Adafactor with relative_step: the rate of its next step, before the size of each tensor
    scales it.
    """
    first = optimizer.param_groups[0]
    if first["lr"] is None:
        done = next((state["step"] for state in optimizer.state.values()), 0)
        rate = min(1e-6 * (done + 1) if first.get("warmup_init") else 1e-2, 1 / math.sqrt(done + 1))
        return [rate] * len(optimizer.param_groups), None
    d = float(first["d"]) if "d" in first else None
    return [group["lr"] * (1.0 if d is None else d) for group in optimizer.param_groups], d


def _comes_back(optimizer: torch.optim.Optimizer, other: torch.optim.Optimizer) -> bool:
    """Whether `other`, given the state of `optimizer` as a checkpoint holds it, has the very same state."""
    before: dict[str, torch.Tensor] = {}
    after: dict[str, torch.Tensor] = {}
    try:
        plain = json.dumps(without_tensors(optimizer.state_dict(), "", before))
        state = with_tensors(json.loads(plain), before)
        state["state"] = {int(number): values for number, values in state["state"].items()}
        other.load_state_dict(state)
        same = json.dumps(without_tensors(other.state_dict(), "", after)) == plain
    except Exception:  # whatever a stranger's class does with it
        return False
    return same and all(before[n].dtype == after[n].dtype and torch.equal(before[n], after[n]) for n in before)


def _bad_arguments(settings: Settings, error: Exception) -> UserError:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    given = inert(" ".join(settings.optimizer_args), 200)
    return UserError(
        "bad-optimizer-args",
        f"{settings.optimizer_type} does not take learning_rate {settings.learning_rate:g} with optimizer_args "
        f'"{given}" ({inert(reason, 200)}).',
        "Look at the option's help for the usual arguments.",
    )


def _does_not_fit(settings: Settings, error: Exception) -> UserError:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return UserError(
        "optimizer-does-not-fit",
        f"{settings.optimizer_type} cannot train a LoRA here ({type(error).__name__}: {inert(reason, 200)}).",
        "Take another optimizer.",
    )
