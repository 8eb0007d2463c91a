"""Which parts are trained, each at which rate: in kohya's files a rate of 0 leaves its part as it is.

A rate that cannot be read is no 0: then it is not known whether the part is trained, and that stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.plan.kohya.outcome import NO_SWITCH, Outcome
from engine.plan.kohya.plain import is_empty, number_of, switch_of
from engine.plan.kohya.said import Arguments, Said

RATES = ("unet_lr", "text_encoder_lr")
PARTS_OF: dict[str, tuple[str, ...]] = {
    "unet_lr": ("train_unet",),
    "text_encoder_lr": ("train_text_encoder_1", "train_text_encoder_2"),
}
"""The switches of the parts that a rate is for."""

WORDS = {"unet_lr": "the U-Net", "text_encoder_lr": "the text encoders"}
"""The parts that a rate is for, in words."""

_OTHERS_ONLY = {"unet_lr": "network_train_text_encoder_only", "text_encoder_lr": "network_train_unet_only"}
_TRAINED = "sd-scripts trains what it is not told to leave alone"


def carry(arguments: Arguments, outcome: Outcome, *, with_rates: bool) -> None:
    """sd-scripts trains everything unless told otherwise, and leaves out a part whose own rate is 0.

    with_rates: False where the rates are for an optimizer that is not there: they only tell what is trained then.
    """
    flags = {name: _flag(arguments.take(_OTHERS_ONLY[name]), outcome) for name in RATES}
    said = {name: arguments.take(name) for name in RATES}
    unread = [name for name, rate in said.items() if rate is not None and numbers_in(name, rate.value) is None]
    told = arguments.whole or any(flags.values()) or any(said[name] for name in RATES if name not in unread)
    unknown = []
    for name, options in PARTS_OF.items():
        rate, flag = said[name], flags[name]
        off = flag if flag is not None and switch_of(flag.value) else rate if _is_zero(name, rate) else None
        for option in options:
            own = arguments.take(option)  # a project of ours, or what a rate means in kohya_ss' window
            if off is not None:
                outcome.carry(off.key, off.given, option, False)
                if own is not None and own.key == option:
                    outcome.leave(own.key, own.given, "inert", f"{off.key} leaves that part as it is")
            elif own is not None:
                outcome.carry(own.key, own.given, option, own.value, own.note)
            elif name in unread:
                unknown.append(name)
            elif told and option not in outcome.decided:
                outcome.carry("", "", option, True, _TRAINED)
    for name, rate in said.items():
        if rate is not None and with_rates:
            _rate(name, rate, outcome)
    find_unread(unread, list(dict.fromkeys(unknown)), outcome)


def leave_unread(name: str, said: Said, outcome: Outcome) -> None:
    """List a rate that cannot be read."""
    outcome.leave(said.key, said.given, "bad-value", "must be a number with a point, such as 0.0001", [name])


def find_unread(unread: Sequence[str], unknown: Sequence[str], outcome: Outcome) -> None:
    """Warn of the rates that could not be read, where it is not `unknown` from elsewhere what is trained."""
    outcome.decided |= {option for name in unknown for option in PARTS_OF[name]}
    if not unread or not unknown:
        return
    rates = "rates" if len(unread) > 1 else "rate"
    are = "is" if list(unknown) == ["unet_lr"] else "are"
    options = [option for name in unknown for option in PARTS_OF[name]]
    outcome.find(
        "kohya-rates-unread",
        f"The {rates} of {_words(unread)} cannot be read, so the file does not tell whether {_words(unknown)} {are} "
        "trained: that stays as it is.",
        f"Look at {' and '.join(options[:2])}.",
    )


def numbers_in(name: str, value: object) -> list[float] | None:
    """The rates that a value holds; none where it is empty, None where it cannot be read."""
    if is_empty(value):
        return []
    words = value.replace('"', "").split() if isinstance(value, str) else value
    numbers = [number_of(word) for word in words] if isinstance(words, list | tuple) else [number_of(words)]
    read = [number for number in numbers if number is not None]
    return None if len(read) < len(numbers) or (name == "unet_lr" and len(read) > 1) else read


def _words(names: Sequence[str]) -> str:
    return " and ".join(WORDS[name] for name in names)


def _flag(said: Said | None, outcome: Outcome) -> Said | None:
    """A switch that leaves the other parts alone; what says nothing is listed."""
    if said is None or switch_of(said.value):
        return said
    if switch_of(said.value) is None:
        outcome.leave(said.key, said.given, "bad-value", NO_SWITCH)
        return None
    outcome.leave(said.key, said.given, "unset", "it is off")
    return said


def _is_zero(name: str, said: Said | None) -> bool:
    numbers = numbers_in(name, said.value) if said is not None else None
    return bool(numbers) and numbers is not None and numbers[0] == 0


def _rate(name: str, said: Said, outcome: Outcome) -> None:
    numbers = numbers_in(name, said.value)
    if numbers is None:
        leave_unread(name, said, outcome)
    elif not numbers:
        outcome.carry(said.key, said.given, name, "", said.note)
    elif numbers[0] == 0:
        outcome.leave(said.key, said.given, "unset", "0 leaves that part as it is: here a switch says so", [name])
    elif len(set(numbers)) > 1:
        note = "sd-scripts gives the first to both text encoders of SDXL"
        outcome.carry(said.key, said.given, name, numbers[0], note)
    else:
        outcome.carry(said.key, said.given, name, numbers[0], said.note)
