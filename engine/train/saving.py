"""Saving LoRAs during and after training: what is written when, under which name, with which metadata."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from engine.context import JobContext
from engine.lora import metadata, weights
from engine.lora.network import LoraNetwork
from engine.lora.read_back import what_differs
from engine.out_of_memory import is_out_of_memory
from engine.plan.dataset import Dataset
from engine.plan.errors import UserError
from engine.plan.lora_names import free_name, is_own, wanted_name
from engine.plan.safetensors_header import read_header
from engine.plan.saving_times import newest_epoch_to_go, newest_step_to_go
from engine.plan.settings import Settings
from engine.runs.folder import RunFolder
from engine.train import output
from engine.train.state import Position


def session_id(run: RunFolder) -> int:
    """The number under which a run signs its LoRAs (`ss_session_id`, 32 bits)."""
    return int.from_bytes(hashlib.sha256(str(run.path).encode()).digest()[:4], "little")


def choose_name(context: JobContext, settings: Settings, model_dir: Path | None, session_id: int) -> str:
    """The LoRA's name: the wanted one, or with a number where another run has taken it (which the run then says)."""
    wanted = wanted_name(settings, context.job.name)
    name = free_name(model_dir, wanted, session_id) if model_dir else wanted
    if name != wanted:
        context.warn("name-taken", f"{wanted} is taken by an earlier run, so this one's LoRA is called {name}.")
    return name


class Saver:
    """Writes LoRAs under sd-scripts' names into the run's output/ and links them into the project's model/.

    `begun` says under which name and session. `start` is the step that this engine goes on from; what an engine before
    it has saved of that step is not written again. `model_dir` None: the LoRAs stay in the run's folder. Each file is
    read back, and `forward()` has to give the same with it as with the network; a warning says if it does not.
    """

    def __init__(
        self,
        context: JobContext,
        settings: Settings,
        dataset: Dataset,
        network: LoraNetwork,
        begun: Position,
        start: int,
        model_dir: Path | None,
        forward: Callable[[], Tensor],
    ) -> None:
        self.context, self.settings, self.dataset, self.network = context, settings, dataset, network
        self.begun, self.start, self.model_dir, self.forward = begun, start, model_dir, forward
        self._published: dict[Path, Path] = {}  # by this engine: from the file in output/ to where it is shown

    def save(self, step: int, last: bool) -> Path:
        """Write the LoRA as it is after `step`; `last`: it is the finished one. Returns its path in output/.

        One of this step that is there already is only told of again. Older LoRAs of epochs go as `save_last_n_epochs`
        says.
        """
        epoch, rest = divmod(step, self.dataset.steps.steps_per_epoch)
        path = self._write(self._path(step, last), step, epoch)
        if not (last or rest):
            self._remove(output.epoch_of, newest_epoch_to_go(self.settings, epoch), self.settings.save_every_n_epochs)
        return path

    def save_step(self, step: int) -> Path:
        """The same under the name of its step, also at an epoch's end; older ones go as `save_last_n_steps` says.

        As in sd-scripts its metadata counts the epochs before its own.
        """
        path = self.context.run.output_dir / output.step_file(self.begun.name, step)
        self._write(path, step, (step - 1) // self.dataset.steps.steps_per_epoch)
        self._remove(output.step_of, newest_step_to_go(self.settings, step), self.settings.save_every_n_steps)
        return path

    def _write(self, path: Path, step: int, epoch: int) -> Path:
        if not self._is_there(path, step):
            if not all(bool(torch.isfinite(flat).all()) for flat in self.network.parameters):
                raise UserError(
                    "loss-not-finite",
                    f"At step {step} the LoRA holds values that are not numbers, so it was not saved and training "
                    "stopped.",
                    "Use mixed_precision bf16 instead of fp16, or a lower learning rate.",
                )
            with self.network.as_saved():
                tensors = weights.state_dict(self.network, self.settings.save_precision)
                weights.write(path, tensors, self._metadata(step, epoch))
                self._read_back(path)
        if path not in self._published:
            self._publish(path, step)
        return path

    def _read_back(self, path: Path) -> None:
        """Warn where the file is not what the network is; too little memory to find out is no reason to stop."""
        try:
            if wrong := what_differs(path, self.network, self.forward):
                self.context.warn("lora-differs", f"{wrong} Train on, and look at it before you use it.")
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            self.context.warn("lora-unchecked", f"{path.name} is saved; there was too little memory to try it out.")

    def forget_after(self, step: int) -> None:
        """The training was taken back to `step`: what was saved later is made, and told of, again."""
        self.start = step
        self._published = {
            path: shown for path, shown in self._published.items() if int(_facts(path).get("ss_steps", 0)) <= step
        }

    def all(self) -> list[Path]:
        """Every LoRA of the run, also those of engines before this one, in the order of their steps: where they lie in
        model/, else in output/."""
        session = str(self.begun.session_id)
        found = []
        for path in self.context.run.output_dir.glob("*.safetensors"):
            facts = _facts(path)
            if facts.get("ss_session_id") == session:
                found.append((int(facts["ss_steps"]), path))
        return [self._shown(path) for _, path in sorted(found)]

    def _shown(self, path: Path) -> Path:
        if path in self._published:
            return self._published[path]
        there = self.model_dir / path.name if self.model_dir else path
        return there if is_own(there, self.begun.session_id) else path

    def make_room_for_more(self, step: int) -> None:
        """More epochs follow on what was the finished LoRA, after `step`: it becomes the LoRA of its epoch."""
        finished, path = self._path(step, last=True), self._path(step, last=False)
        if path.exists() or not self._is_there(finished, step):
            return
        finished.rename(path)
        if self.model_dir:
            shown = self.model_dir / finished.name
            if is_own(shown, self.begun.session_id):
                shown.unlink()  # the same LoRA appears under its epoch's name in a moment
        self._publish(path, step)

    def _path(self, step: int, last: bool) -> Path:
        epoch, rest = divmod(step, self.dataset.steps.steps_per_epoch)
        name = self.begun.name
        if last:
            file = f"{name}.safetensors"
        else:
            file = output.step_file(name, step) if rest else output.epoch_file(name, epoch)
        return self.context.run.output_dir / file

    def _is_there(self, path: Path, step: int) -> bool:
        """Whether this engine wrote it, or, for the step that it goes on from, an engine before it."""
        if path in self._published:
            return True
        if step != self.start or not path.is_file():
            return False
        facts = _facts(path)
        return facts.get("ss_steps") == str(step) and facts.get("ss_session_id") == str(self.begun.session_id)

    def _metadata(self, step: int, epoch: int) -> dict[str, str]:
        return metadata.build(
            self.settings,
            self.dataset,
            metadata.Progress(epoch, step, self.begun.started, finished=time.time()),
            output_name=self.begun.name,
            trigger=self.context.job.trigger,
            session_id=self.begun.session_id,
        )

    def _remove(self, number_of: Callable[[str, str], int], newest: int, every: int) -> None:
        """Remove this run's LoRAs with a number (of an epoch or a step) up to `newest`, from output/ and from model/.

        Only every `every`-th: others were saved because somebody stopped or asked, and stay.
        """
        for path in sorted(self.context.run.output_dir.glob("*.safetensors")) if newest else ():
            number = number_of(self.begun.name, path.name)
            if not 0 < number <= newest or number % every or not is_own(path, self.begun.session_id):
                continue
            self.context.emit("saved-removed", path=path)  # first: an engine killed in between does both again
            if self.model_dir:
                output.withdraw(path, self.model_dir, self.begun.session_id)
            path.unlink(missing_ok=True)
            self._published.pop(path, None)

    def _publish(self, path: Path, step: int) -> None:
        shown = output.publish(path, self.model_dir, self.begun.session_id) if self.model_dir else path
        if shown.name != path.name:
            self.context.warn("name-taken", f"{path.name} lies in {shown.parent} already; this one is {shown.name}.")
        self._published[path] = shown
        epoch = -(-step // self.dataset.steps.steps_per_epoch)
        self.context.emit("saved", path=path, epoch=epoch, step=step, bytes=path.stat().st_size)


def _facts(path: Path) -> dict[str, str]:
    """A LoRA's metadata; empty where it cannot be read."""
    try:
        return read_header(path)[1]
    except UserError:
        return {}
