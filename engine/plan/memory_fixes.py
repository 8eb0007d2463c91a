"""What brings a training down to the memory that there is, in the order of least harm, and only as much as is needed.

How much a setting needs is asked of `predict` (bytes at the peak, for these settings); nothing is guessed here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce

from engine.plan.caption_draws import CaptionRules
from engine.plan.gpu_room import room, with_some_to_spare
from engine.plan.gpus import Gpu, Kind
from engine.plan.optimizers import ADAFACTOR_ARGS, KNOWN
from engine.plan.packages import is_installed
from engine.plan.prediction import Predictor
from engine.plan.real_batches import Epoch
from engine.plan.settings import Settings, resolve, to_dict
from engine.plan.smaller_batches import smaller_batches
from engine.plan.trained_parts import encodes_ahead, rates, trains_text

Predict = Callable[[Settings], int]
Changes = dict[str, object]

WORTH_BYTES = 32 * 2**20
"""What saves less is not worth its harm."""
A_GAIN = "mixed_precision"
"""Steps become several times as fast, and the result is the same: nobody wants the harm of others without it."""
SMALL_RANKS = (16, 8)
"""Where halving comes to its end; smaller ones save next to nothing."""
LEAST_ALPHA = 0.001  # that the options take
SHORTEST_SIDE = 512
SLICE_P = 11
"""Of which prodigyopt's manual says that it changes next to nothing."""


@dataclass(frozen=True)
class Fix:
    """Options to change together, what that saves after the fixes before it, and why it does, with its price."""

    changes: Mapping[str, object]
    saves_bytes: int
    why: str

    @property
    def option(self) -> str:
        """The option that it is about."""
        return next(iter(self.changes))

    @property
    def value(self) -> object:
        return self.changes[self.option]

    @property
    def also(self) -> dict[str, object]:
        """Options that have to go with it."""
        return {name: value for name, value in self.changes.items() if name != self.option}

    def as_json(self) -> dict[str, object]:
        """As `estimate --json` prints it."""
        answer: dict[str, object] = {"option": self.option, "value": self.value}
        if self.also:
            answer["also"] = self.also
        return answer | {"saves_bytes": self.saves_bytes, "why": self.why}


def fixes_on(settings: Settings, gpu: Gpu, predict: Predict) -> list[Fix]:
    """What to change so that it fits on `gpu` with a little to spare; where that cannot be had, so that it fits only
    just; where not even that, all that helps. Empty where it fits, or where nobody tells what there is."""
    there = room(gpu)
    if there is None:
        return []
    found: list[Fix] = []
    for enough in (with_some_to_spare(there), there):
        tried = fixes(settings, enough, predict, gpu.kind, here=gpu.here, bf16=gpu.bf16)
        found = found or tried
        if predict(all_applied(settings, tried)) <= enough:
            return tried
    return found


def fixes(
    settings: Settings,
    room_bytes: int,
    predict: Predict,
    kind: Kind = "cuda",
    *,
    here: bool = True,
    bf16: bool | None = True,
) -> list[Fix]:
    """What to change so that `room_bytes` are enough, one after the other; empty where they are.

    Where nothing is enough, all that helps. `kind`: of the GPU, as not all runs on each. `here`: whether it is this
    machine's, so that a package that is not installed is no way out. `bf16`: whether it calculates in bf16 itself.
    """
    found: list[Fix] = []
    now, peak = settings, predict(settings)
    around = _Around(settings, kind, here, bf16, epoch_in(predict, settings))
    for ladder in _LADDERS:
        if peak <= room_bytes:
            break
        best: tuple[Settings, int, Changes, str] | None = None
        for changes, why in ladder(now, around):
            changed = applied(now, changes)
            needs = predict(changed)
            if peak - needs >= WORTH_BYTES and (best is None or needs < best[1]):
                best = changed, needs, changes, why
            if needs <= room_bytes:
                break  # the rungs begin with the least harm
        if best is not None:
            now, needs, changes, why = best
            found.append(Fix(changes, peak - needs, why))
            peak = needs
    return _needed(settings, found, max(peak, room_bytes), predict)


def epoch_in(predict: Predict, settings: Settings) -> Epoch | None:
    """What an epoch is made of with these settings; None where whoever predicts knows no pictures."""
    return predict.epoch(settings) if isinstance(predict, Predictor) else None


def applied(settings: Settings, changes: Mapping[str, object]) -> Settings:
    """The settings with some options changed."""
    return resolve(to_dict(settings) | dict(changes))


def all_applied(settings: Settings, found: list[Fix]) -> Settings:
    """The settings with every fix, in their order."""
    return reduce(applied, (fix.changes for fix in found), settings)


def _needed(settings: Settings, found: list[Fix], room_bytes: int, predict: Predict) -> list[Fix]:
    """Without those that a later one has made needless, the greatest harm first; with what each saves now. Half
    precision stays as long as anything stays that has a price."""
    kept = list(found)
    for fix in reversed(found):
        if fix.option == A_GAIN and kept[-1] is not fix:
            continue
        others = [other for other in kept if other is not fix]
        if predict(all_applied(settings, others)) <= room_bytes:
            kept = others
    now, peak, said = settings, predict(settings), []
    for fix in kept:
        now = applied(now, fix.changes)
        needs = predict(now)
        said.append(Fix(fix.changes, peak - needs, fix.why))
        peak = needs
    return said


# ---------------------------------------------------------------------------------------------------- the ladders
# Each yields the rungs of one kind of change, the one with the least harm first, or nothing where there is none.


@dataclass(frozen=True)
class _Around:
    """settings: as they were before any fix. epoch: with these; None where the pictures are not known."""

    settings: Settings
    kind: Kind
    here: bool
    bf16: bool | None
    epoch: Epoch | None = None

    def has_bitsandbytes(self) -> bool:
        """Whether its optimizers and 4 bits run there: they need an NVIDIA GPU."""
        return self.kind == "cuda" and (not self.here or is_installed("bitsandbytes"))


Rungs = Iterator[tuple[Changes, str]]


def _captions_once(s: Settings, around: _Around) -> Rungs:
    if not encodes_ahead(s) and not trains_text(s) and not CaptionRules.from_settings(s).varies:
        why = (
            "Captions are encoded once, before the training, so the text encoders leave the GPU. Nothing else changes."
        )
        yield {"cache_text_encoder_outputs": True}, why


def _pictures_once(s: Settings, around: _Around) -> Rungs:
    if not s.cache_latents:
        why = "Pictures are encoded once, before the training, so the VAE leaves the GPU. Nothing else changes."
        yield {"cache_latents": True}, why


def _half(s: Settings, around: _Around) -> Rungs:
    if s.mixed_precision == "no" and (half := _half_of(around)):
        why = "Calculated in 16 bits, as nearly everybody trains: less memory, and several times as fast."
        yield {"mixed_precision": half}, why


def _half_of(around: _Around) -> str:
    """The half precision that a GPU calculates in; "" where none is known. fp16's loss scaling needs CUDA or ROCm."""
    if around.kind == "mps":
        return "bf16" if around.bf16 else ""
    return "fp16" if around.bf16 is False else "bf16"


def _checkpointing(s: Settings, around: _Around) -> Rungs:
    if not s.gradient_checkpointing:
        why = (
            "Parts of a step are calculated twice in place of being kept: the same result, in about a third more time."
        )
        yield {"gradient_checkpointing": True}, why


def _batch(s: Settings, around: _Around) -> Rungs:
    for smaller in smaller_batches(s, around.epoch):
        yield smaller.changes, f"Fewer pictures at once; {smaller.words}"


def _sliced_prodigy(s: Settings, around: _Around) -> Rungs:
    if s.optimizer_type == "Prodigy" and s.optimizer_kwargs.get("slice_p", 1) == 1:
        kept = [argument for argument in s.optimizer_args if argument.partition("=")[0].strip() != "slice_p"]
        why = (
            f"Prodigy finds the size of its steps from each {SLICE_P}th weight only and remembers less; the result is "
            "nearly the same."
        )
        yield {"optimizer_args": [*kept, f"slice_p={SLICE_P}"]}, why


def _adamw8bit(s: Settings, around: _Around) -> Rungs:
    if s.optimizer_type in ("Prodigy", "AdamW", "Lion") and around.has_bitsandbytes():
        rate = _rate(s, "AdamW8bit")
        why = f"It remembers in 8 bits what AdamW does in 32.{_rate_in_words(rate, s)}"
        yield {"optimizer_type": "AdamW8bit", "optimizer_args": [], **rate}, why


def _adafactor(s: Settings, around: _Around) -> Rungs:
    if s.optimizer_type in ("Prodigy", "AdamW", "AdamW8bit", "Lion"):
        rate = _rate(around.settings, "Adafactor")  # not what an optimizer before it would have changed
        words = _rate_in_words(rate, around.settings)
        why = f"It remembers rows and columns, and not each weight; it limits its steps by itself.{words}"
        changes: Changes = {"optimizer_type": "Adafactor", "optimizer_args": list(ADAFACTOR_ARGS), **rate}
        yield (changes | {"max_grad_norm": 0.0} if s.max_grad_norm else changes), why


def _rate(s: Settings, optimizer: str) -> Changes:
    """A learning rate that fits the new optimizer, where the one that stands there does not."""
    known, changes = KNOWN[optimizer], Changes()
    lowest = known.rate / 20
    if any(not lowest <= rate <= known.highest for rate in rates(s).values()):
        changes["learning_rate"] = known.rate
        changes |= {own: "" for own in ("unet_lr", "text_encoder_lr") if getattr(s, own)}
    return changes


def _rate_in_words(rate: Changes, s: Settings) -> str:
    if not rate:
        return ""
    own = " Prodigy found its own; now" if s.optimizer_type == "Prodigy" else " The one there does not fit it;"
    return f"{own} learning_rate {rate['learning_rate']:g} is a beginning, and yours to change."


def _base_weights(s: Settings, around: _Around) -> Rungs:
    if around.kind == "mps":
        return
    if s.base_weights == "full":
        yield {"base_weights": "fp8"}, "The base model is kept in 8 bits: a little coarser, and steps take longer."
    if s.base_weights != "nf4" and around.has_bitsandbytes():
        yield {"base_weights": "nf4"}, "The base model is kept in 4 bits: coarser, and steps take longer."


def _rank(s: Settings, around: _Around) -> Rungs:
    """The rank, and that of convolutions where it is larger than the new one; each with its alpha in proportion."""
    ranks = {"network": s.network_dim, "conv": s.conv_dim if s.train_unet else 0}
    largest = max(ranks.values())
    halves = (largest >> times for times in range(1, largest.bit_length()))
    for rank in sorted({half for half in halves if half > SMALL_RANKS[0]} | set(SMALL_RANKS), reverse=True):
        changes: Changes = {}
        for name, now in ranks.items():
            if rank < now:
                alpha = max(LEAST_ALPHA, getattr(s, f"{name}_alpha") * rank / now)
                changes |= {f"{name}_dim": rank, f"{name}_alpha": alpha}
        if changes:
            yield changes, "A smaller LoRA, which learns fewer details; for one subject this is often enough."


def _resolution(s: Settings, around: _Around) -> Rungs:
    width, height = s.size
    for part in (0.875, 0.75, 0.625, 0.5):
        sides = [round(side * part / 64) * 64 for side in (width, height)]
        if min(sides) >= SHORTEST_SIDE:
            why = "Smaller pictures: less detail is learnt, and SDXL was made for 1024."
            yield {"resolution": f"{sides[0]},{sides[1]}"}, why


_LADDERS = (
    _captions_once,
    _pictures_once,
    _half,
    _checkpointing,
    _batch,
    _sliced_prodigy,
    _adamw8bit,
    _adafactor,
    _base_weights,
    _rank,
    _resolution,
)
