"""What a training does when a step does not fit into the memory: it frees what can be freed and does the step again,
and where that does not help, it needs less from then on.

What a step learns from stays as it was: its pictures, their order, noise, words and weights, and the number of steps.
A batch is computed one picture at a time and its gradients are added up, so a step is the same within rounding (which
grows over a long training, as on another card). The last way, which has to be allowed, shows the same pictures smaller.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
from accelerate import Accelerator

from engine.context import JobContext
from engine.device import give_back
from engine.lora.network import LoraNetwork
from engine.out_of_memory import is_out_of_memory
from engine.plan.errors import UserError
from engine.plan.memory_note import DID_NOT_FIT
from engine.plan.order import Batch
from engine.runs.events import Event
from engine.train.processes import Processes

REPEAT_STEPS = 100
"""A step is done again as it was where memory last ran out that long ago: somebody else may have needed it just then.
Sooner, the training itself needs too much."""
REPEATED = "repeated"
BATCH_SIZE, CHECKPOINTING, OFFLOAD, VAE_TILE = "batch_size", "gradient_checkpointing", "offload", "vae_tile"
BUCKET_LIMIT = "bucket_limit"
"""The ways, as events, notes and a resumed run name them."""
IN_SHORT = {
    BATCH_SIZE: "one picture at a time",
    CHECKPOINTING: "gradient checkpointing",
    OFFLOAD: "text encoders and VAE off the card between their uses",
    VAE_TILE: "the VAE working in tiles",
    BUCKET_LIMIT: "smaller pictures",
}

_SMALLER = "go on with smaller pictures (--set allow_smaller_buckets=true), "
Result = TypeVar("Result")
Piece = tuple[int, Batch, float]
"""As `Processes.own_part`: where it begins in its batch, the pictures, and how much their mean loss counts in it."""


class DoesNotFit(UserError):  # noqa: N818 - says what happened
    """Nothing is left to be tried. What was learnt before this step is whole."""


class HalfMoved(Exception):  # noqa: N818 - says what happened
    """Memory ran out in `step` while the optimizer was at work: weights and averages may be half moved."""

    def __init__(self, step: int) -> None:
        super().__init__(f"half of step {step} was done")
        self.step = step


@dataclass(frozen=True)
class Way:
    """One way to need less. name and value: how events, notes and a resumed run tell it. words: what is done from now
    on. standing: it frees what lies there all the time, which also helps the optimizer. short: in place of what
    IN_SHORT has for it."""

    name: str
    value: int | bool
    words: str
    take: Callable[[], None]
    standing: bool = False
    short: str = ""


class Ladder:
    """`ways`: from the one that costs least; those in `reached` (name to value) an engine before this one has taken."""

    def __init__(
        self,
        context: JobContext,
        processes: Processes,
        network: LoraNetwork,
        accelerator: Accelerator,
        ways: Iterable[Way],
        *,
        batch_size: int = 1,
        reached: Mapping[str, object] | None = None,
        noted: Callable[[Mapping[str, object]], None] = lambda _: None,
    ) -> None:
        """`batch_size`: the training's; with 1 there is nothing to split. `noted` is told all that has been taken, as
        it grows."""
        self._context, self._processes, self._network, self._accelerator = context, processes, network, accelerator
        self._noted = noted
        self._one_by_one = False
        self._last: int | None = None  # the step in which memory ran out the last time
        self._left = [*([self._split_way()] if batch_size > 1 else []), *ways]
        self.taken: dict[str, object] = {}
        self._short = dict(IN_SHORT)
        for way in list(self._left):
            if reached is not None and reached.get(way.name) is not None and _reached(way, reached[way.name]):
                self._take(way)

    def _split_way(self) -> Way:
        def split() -> None:
            self._one_by_one = True

        words = "the pictures of a batch are computed one at a time; each step is the same within rounding, and slower"
        return Way(BATCH_SIZE, 1, words, split)

    def pieces(self, begin: int, own: Batch, share: float) -> Sequence[Piece]:
        """This process's part of a batch, in the pieces that it is computed in."""
        if not self._one_by_one or len(own) == 1:
            return [(begin, own, share)]
        return [(begin + place, [index], share / len(own)) for place, index in enumerate(own)]

    def fitted(self, step: int, compute: Callable[[], Result]) -> Result:
        """`compute()`, which is to leave nothing behind when it fails; done again, with less, until it fits.

        Raises DoesNotFit; HalfMoved as `compute` does. Several processes would have to agree on it: there the first
        says so, and the others end, which it tells.
        """
        while True:
            try:
                return compute()
            except HalfMoved:
                raise
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                logging.getLogger(__name__).warning("step %d: %s", step, _first_line(error))
                if self._processes.count > 1:
                    raise self._refusal(step, error) from error
            self.make_room(step)  # outside of the handler, whose error holds on to all that was computed

    def make_room(self, step: int, moved: bool = False) -> None:
        """Free what can be freed, take the next way unless it is worth a try without, and tell of it. `moved`: memory
        ran out in the optimizer. Raises DoesNotFit."""
        self.free()
        soon = self._last is not None and step - self._last < REPEAT_STEPS
        self._last = step
        if not soon:
            message = f"Memory ran out in step {step}. What could be freed is freed, and the step is done again."
            self._tell(step, message, {REPEATED: True})
            return
        if not self._left:
            raise self._nothing_left(step, moved)
        # With the optimizer at work nothing is left of the pictures: only what lies there all the time is in its way.
        way = min(self._left, key=lambda way: not way.standing) if moved else self._left[0]
        try:
            self._take(way)
        except UserError as error:  # there is not even room to encode pictures anew
            raise self._nothing_left(step, moved) from error
        self.free()
        self._tell(step, f"Memory ran out again in step {step}. From now on {way.words}.", {way.name: way.value})
        self._noted(self.taken)

    @property
    def summary(self) -> str:
        """What was done without, as a sentence for the end; "" where nothing was."""
        if not self.taken:
            return ""
        return f" Memory ran out on the way, so it went on with {self._in_short()}."

    def _in_short(self) -> str:
        return " and ".join(word for name, word in self._short.items() if name in self.taken)

    def free(self) -> None:
        """Gradients are zero again, and what nothing refers to any more goes back to the system."""
        self._network.zero_grad()
        forget_unscaling(self._accelerator)
        gc.collect()
        give_back(self._accelerator.device)

    def _take(self, way: Way) -> None:
        self._left.remove(way)
        way.take()
        self.taken[way.name] = way.value
        if way.short:
            self._short[way.name] = way.short

    def _tell(self, step: int, message: str, change: Mapping[str, object]) -> None:
        logging.getLogger(__name__).warning("%s", message)
        self._context.emit("oom", step=step, message=message, change=dict(change))

    def _nothing_left(self, step: int, moved: bool) -> DoesNotFit:
        kept = (
            ""
            if moved or step == 1 or self._context.job.dry_run
            else f"; everything up to step {step - 1} is saved, and it can be resumed"
        )
        self._noted({**self.taken, DID_NOT_FIT: True})
        tried = f" It was tried with {self._in_short()}, too." if self.taken else ""
        return DoesNotFit(
            "out-of-memory",
            f"There is too little free memory for step {step}, so the training stopped{kept}.{tried}",
            f"Close other programs that use the graphics card, {_SMALLER if BUCKET_LIMIT not in self.taken else ''}or "
            "start a new run with a lower network_dim or resolution.",
        )

    def _refusal(self, step: int, error: Exception) -> Exception:
        if not self._processes.first:
            return torch.OutOfMemoryError(_first_line(error))
        return DoesNotFit(
            "out-of-memory",
            f"The first graphics card has too little free memory for step {step}; a training on several of them does "
            "not change its batches on the way.",
            "Start a new run with train_batch_size = 1, or a lower network_dim or resolution.",
        )


@contextmanager
def moving(step: int, processes: Processes) -> Iterator[None]:
    """Around the optimizer. Raises HalfMoved where memory runs out in it: nobody can tell what it has done by then."""
    try:
        yield
    except Exception as error:
        if processes.count > 1 or not is_out_of_memory(error):
            raise
        logging.getLogger(__name__).warning("step %d, in the optimizer: %s", step, _first_line(error))
        raise HalfMoved(step) from None


def forget_unscaling(accelerator: Accelerator) -> None:
    """fp16's scaler refuses to scale a step's gradients back twice; after this they are new to it. The scale stays."""
    scaler = accelerator.scaler
    if scaler is not None and getattr(scaler, "_scale", None) is not None:
        scaler.update(scaler.get_scale())


def reached_by(events: Iterable[Event]) -> dict[str, object]:
    """What the engines before this one had to do without, name to value, from a run's events."""
    reached: dict[str, object] = {}
    for event in events:
        change = event.get("change")
        if event["kind"] == "oom" and event.get("step") and isinstance(change, dict):
            reached |= change
    reached.pop(REPEATED, None)
    return reached


def _reached(way: Way, value: object) -> bool:
    """Of several ways of one name, smaller and smaller tiles, those as large as `value` or larger."""
    if isinstance(way.value, bool) or way.name == BATCH_SIZE:
        return value == way.value
    return isinstance(value, int) and way.value >= value


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
