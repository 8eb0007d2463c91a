"""What people ask of a training while it runs: pause, go on, save, sample, stop. Obeyed between two steps."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import torch

from engine.context import Stopped
from engine.plan.errors import UserError
from engine.runs.control import Command
from engine.train.keeping import keep_state
from engine.train.meter import Meter
from engine.train.parking import Parking
from engine.train.sampling import why

if TYPE_CHECKING:
    from engine.train.loop import Training

PAUSED_POLL_SECONDS = 0.2


class Commands:
    """One for a training. Every command is answered by exactly one `command` event, also when it comes twice."""

    def __init__(self, training: Training, meter: Meter) -> None:
        self._t, self._meter = training, meter
        self._last_step: int | None = None  # where to stop, once "stop after this epoch" was asked for
        self._context = training.context
        self._context.takes_commands = True

    def obey(self, step: int) -> bool:
        """Do what was asked for, after `step` (0: before the first). True: everything is saved, the training ends here.

        Raises Stopped where there is nothing yet that would be worth saving.
        """
        if not self._context.stop_requested():  # looks for commands as well
            while (command := self._context.next_command()) is not None:
                self._obey(command, step)
        if self._context.stopping or (self._last_step is not None and step >= self._last_step):
            self._save_all(step)
            return True
        return False

    def _obey(self, command: Command, step: int) -> None:
        match command.command:
            case "pause":
                self._pause(command, step)
                self._meter.resume_clock()
            case "resume":
                self._context.answer(command, "done", "It is not paused: the training goes on.")
            case "checkpoint":
                self._checkpoint(command, step)
                self._meter.resume_clock()
            case "sample":
                self._sample(command, step)
                self._meter.resume_clock()
            case "stop-after-epoch":
                self._stop_after_epoch(command, step)

    # ------------------------------------------------------------------------------------------------ saving
    def _save_all(self, step: int) -> None:
        if step == 0:
            raise Stopped
        self._keep_state(step)
        if self._t.dry_run is None:
            self._t.save(step, False)

    def _checkpoint(self, command: Command, step: int) -> None:
        if step == 0:
            self._context.answer(command, "ignored", "Nothing has been trained yet.")
            return
        if self._t.dry_run is not None:
            self._context.answer(command, "refused", "This is a dry run, which saves nothing.")
            return
        self._keep_state(step)
        self._context.answer(command, "done", f"The state after step {step} is saved.")

    def _keep_state(self, step: int) -> None:
        """The checkpoint of `step`, except in a dry run and before the first step."""
        self._meter.flush()
        if step and self._t.dry_run is None:
            keep_state(self._t, self._meter, step)

    def _stop_after_epoch(self, command: Command, step: int) -> None:
        per_epoch = self._t.steps.steps_per_epoch
        if self._last_step is None:
            self._last_step = (step // per_epoch + 1) * per_epoch
        epoch = self._last_step // per_epoch
        self._context.answer(command, "done", f"The training will stop after epoch {epoch}, at step {self._last_step}.")

    # ------------------------------------------------------------------------------------------------ samples
    def _sample(self, command: Command, step: int) -> None:
        self._meter.flush()
        prompt, seed = command.arguments.get("prompt"), command.arguments.get("seed")
        if not isinstance(prompt, str | None) or isinstance(seed, bool) or not isinstance(seed, int | None):
            self._context.answer(command, "refused", "A prompt is text, and a seed a whole number.")
            return
        try:
            paths = self._t.sample_asked(step, prompt, seed, command.id)
        except Stopped:
            self._context.answer(command, "ignored", "The training was stopped before the picture was made.")
        except UserError as error:
            self._context.answer(command, "refused", f"{error.message} {error.hint}".strip())
        except Exception as error:  # a picture is not worth a training
            self._context.answer(command, "refused", f"The picture could not be made: {why(error)}")
        else:
            self._context.answer(command, "done", f"Made {', '.join(path.name for path in paths)}.")

    # ------------------------------------------------------------------------------------------------ pausing
    def _pause(self, command: Command, step: int) -> None:
        """Wait until somebody resumes or stops the training. What is trained is saved first: pauses can be long."""
        self._keep_state(step)
        parking = Parking(self._t.parked)
        if self._wants_memory(command):
            parking.release()
        self._context.emit("paused", step=step, released=parking.released)
        self._context.answer(command, "done", self._paused_message(command, step, parking))
        try:
            while not self._context.stop_requested():
                while (other := self._context.next_command()) is not None:
                    if self._ends_pause(other, step, parking):
                        return
                time.sleep(PAUSED_POLL_SECONDS)
        finally:
            if not self._context.stop_requested():
                self._context.emit("resumed", from_step=step)

    def _ends_pause(self, command: Command, step: int, parking: Parking) -> bool:
        match command.command:
            case "resume":
                try:
                    parking.restore()
                except torch.OutOfMemoryError:
                    self._context.answer(
                        command,
                        "refused",
                        "The graphics card has too little free memory to go on. Free some and resume again.",
                    )
                    return False
                self._context.answer(command, "done", f"The training goes on after step {step}.")
                return True
            case "pause":
                if self._wants_memory(command) and not parking.released:
                    parking.release()
                    self._context.emit("paused", step=step, released=parking.released)
                self._context.answer(command, "done", self._paused_message(command, step, parking))
            case "sample" if parking.released:
                self._context.answer(command, "refused", "Its GPU memory is given back; resume the training first.")
            case _:
                self._obey(command, step)
        return False

    def _wants_memory(self, command: Command) -> bool:
        """Only this process could park what it has; with the other GPUs full that would help nobody."""
        return bool(command.arguments.get("release_memory")) and self._t.processes.count == 1

    def _paused_message(self, command: Command, step: int, parking: Parking) -> str:
        message = f"Paused after step {step}."
        if parking.released:
            return f"{message} {parking.bytes / 2**30:.1f} GiB of GPU memory are given back."
        if command.arguments.get("release_memory") and self._t.processes.count > 1:
            return f"{message} A training on several GPUs keeps their memory; stop it to free them."
        return message
