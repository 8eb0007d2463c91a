"""The rates of U-Net and text encoders in kohya_ss' window, which decide there what is trained."""

from __future__ import annotations

from engine.plan.kohya.outcome import Outcome
from engine.plan.kohya.parts import PARTS_OF, RATES, find_unread, leave_unread
from engine.plan.kohya.plain import is_empty, is_unset, number_of
from engine.plan.kohya.said import Arguments, Said

DEFAULT_RATE = 1e-4
"""What stands in the window for the rates of the parts unless somebody changes it."""

_OTHER = {"unet_lr": "text_encoder_lr", "text_encoder_lr": "unet_lr"}


def rates(left: dict[str, object], arguments: Arguments, outcome: Outcome) -> None:
    """0 leaves a part alone only where the other has a rate; with both 0 all is trained, at the learning rate."""
    found = {name: Said(left[name], name, left[name]) for name in RATES if name in left}
    for name in found:
        del left[name]
    read = {name: _read(said.value) for name, said in found.items()}
    unread = [name for name, rate in read.items() if rate is None]
    if found and not unread:
        for name in RATES:
            if name not in found:
                note = f"the file does not say: {DEFAULT_RATE:g} stands in the window"
                found[name], read[name] = Said(DEFAULT_RATE, "", "", note), DEFAULT_RATE
    trained = {name: _is_trained(read[name], read.get(_OTHER[name])) for name in found}
    neither = list(read.values()) == [0, 0]
    main = number_of(left.get("learning_rate"))
    for name, said in found.items():
        if (on := trained[name]) is not None:
            note = "both are 0, which means 'not set' there: all is trained" if neither else said.note
            for part in PARTS_OF[name]:
                arguments.said[part] = Said(on, said.key, said.given, note)
        if read[name] is None:
            leave_unread(name, said, outcome)
        elif read[name] == 0:
            same = "the part is not trained" if on is False else "the learning rate holds where the part is trained"
            note = "the learning rate holds for all parts" if neither else same
            arguments.said[name] = Said("", said.key, said.given, note)
        elif read[name] == main:
            note = said.note or "the same as the learning rate"
            arguments.said[name] = Said("", said.key, said.given, note)
        else:
            arguments.said[name] = said
    find_unread(unread, [name for name, on in trained.items() if on is None], outcome)
    if neither:
        outcome.find(
            "kohya-zero-rates",
            "The rates of U-Net and text encoders are both 0, which kohya_ss reads as 'not set': it trains the U-Net "
            "and both text encoders at the learning rate. So it is carried over.",
            "If only the U-Net was meant: train_text_encoder_1 and train_text_encoder_2 = false.",
            option="train_text_encoder_1",
            value=False,
        )


def _read(value: object) -> float | None:
    """0 where it is not set; None for what is no number, which nobody can take for either."""
    return 0 if is_unset(value) or is_empty(value) else number_of(value)


def _is_trained(rate: float | None, other: float | None) -> bool | None:
    """None where that hangs on a rate that cannot be read: a part without a rate is trained if neither has one."""
    if rate or other == 0:
        return True
    return None if rate is None or other is None else False
