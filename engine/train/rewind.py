"""Back to the newest checkpoint, or to the beginning where there is none yet, without loading the models again.

For a step that memory ran out in while the optimizer was at work: nobody can tell what it has done by then, and a copy
of its state for that one case would take gigabytes. The steps since then are done again and come out the same.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from engine.context import JobContext
from engine.device import give_back
from engine.lora import weights
from engine.lora.fresh import start_afresh
from engine.lora.network import LoraNetwork
from engine.lora.start import start_from
from engine.plan.settings import Settings
from engine.train.checkpointing import restore
from engine.train.state import Position


class Rewind:
    """Made while `optimizer` has no state yet; called, it puts network and optimizer back and returns where they are.

    `begun` is the position of the beginning; `followers` are told the step that it went back to. Raises UserError as
    `checkpointing.restore` does.
    """

    def __init__(
        self,
        context: JobContext,
        settings: Settings,
        begun: Position,
        network: LoraNetwork,
        optimizer: torch.optim.Optimizer,
        accelerator: Accelerator,
    ) -> None:
        self._context, self._settings, self._begun = context, settings, begun
        self._network, self._optimizer, self._accelerator = network, optimizer, accelerator
        self._groups: list[dict[str, Any]] = deepcopy(optimizer.state_dict()["param_groups"])
        self.followers: list[Callable[[int], None]] = []
        self._scaler = None if accelerator.scaler is None else accelerator.scaler.state_dict()

    def __call__(self) -> Position:
        self._optimizer.state.clear()
        give_back(self._accelerator.device)
        self._optimizer.load_state_dict({"state": {}, "param_groups": deepcopy(self._groups)})
        if self._scaler is not None:
            self._accelerator.scaler.load_state_dict(self._scaler)
        start_afresh(self._network, self._settings.seed)
        if self._settings.network_weights:
            start_from(self._network, weights.read(Path(self._settings.network_weights)))
        position = restore(self._context, self._begun, self._network, self._optimizer, self._accelerator)
        for follower in self.followers:
            follower(position.step)
        return position
