"""The class that `optimizer_type` names, for a training and for the metadata of its LoRA. Only here it is imported."""

from __future__ import annotations

import contextlib
import io
from functools import cache
from importlib import import_module

import torch

from engine.plan.errors import UserError, inert
from engine.plan.optimizers import KNOWN
from engine.plan.settings import nearest


@cache
def find(optimizer_type: str) -> type[torch.optim.Optimizer]:
    """The class of a known optimizer, or the one that a text reading module.Class names.

    Raises UserError: `no-such-optimizer` where there is no such module or class, or it is no torch optimizer.
    """
    known = KNOWN.get(optimizer_type)
    module_name, _, class_name = (known.path if known else optimizer_type).rpartition(".")
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            module = import_module(module_name)
    except ModuleNotFoundError as error:
        raise _missing(optimizer_type, error.name or module_name) from error
    except Exception as error:  # whatever a stranger's module does when it is imported
        reason = (str(error).splitlines() or [""])[0]
        raise UserError(
            "no-such-optimizer",
            f"The module {module_name} of optimizer_type cannot be imported "
            f"({type(error).__name__}: {inert(reason, 200)}).",
        ) from error
    kind = getattr(module, class_name, None)
    if isinstance(kind, type) and issubclass(kind, torch.optim.Optimizer) and kind is not torch.optim.Optimizer:
        return kind
    if kind is None:
        there = {name.lower(): name for name, value in vars(module).items() if isinstance(value, type)}
        near = there.get(nearest(class_name, there), "")
        raise UserError(
            "no-such-optimizer",
            f"The module {module_name} of optimizer_type has no class {class_name}.",
            f"The nearest one is {module_name}.{near}." if near else "",
        )
    raise UserError(
        "no-such-optimizer",
        f"optimizer_type {optimizer_type} is no optimizer: it must be a subclass of torch.optim.Optimizer.",
    )


def described(optimizer_type: str, arguments: dict[str, object]) -> str:
    """The optimizer as sd-scripts writes it into a LoRA's metadata: `module.Class(name=value,…)`."""
    kind = find(optimizer_type)
    inside = ",".join(f"{name}={value}" for name, value in arguments.items())
    return f"{kind.__module__}.{kind.__name__}" + (f"({inside})" if inside else "")


def _missing(optimizer_type: str, module: str) -> UserError:
    package = module.partition(".")[0]
    if package == "bitsandbytes":
        return UserError(
            "no-such-optimizer",
            f"optimizer_type {optimizer_type} needs the package bitsandbytes, which is not installed.",
            'Install it (pip install "lora-tui[cuda]"), or take AdamW, or Adafactor, which needs even less memory.',
        )
    return UserError(
        "no-such-optimizer",
        f"optimizer_type {optimizer_type} needs the Python module {module}, which is not installed.",
        "Install it beside lora-tui, or correct the name.",
    )
