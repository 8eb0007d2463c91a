"""sd-scripts' arguments, as a configuration or kohya_ss' window gives them, as our settings.

Keys that go together (the optimizer and its rates, the schedule, the network, the length) are judged together in the
modules beside this one; all others follow the table of `keys`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from engine.plan.kohya import learning, network, words
from engine.plan.kohya.defaults import DATASET_DEFAULTS, DEFAULTS
from engine.plan.kohya.keys import OF_BLOCKS, OF_OTHER_LORAS, SAME, left_out
from engine.plan.kohya.outcome import NO_SWITCH, OF_THE_PROJECT, Outcome
from engine.plan.kohya.plain import is_empty, is_unset, number_of, switch_of, whole_of
from engine.plan.kohya.said import Arguments, Said
from engine.plan.nearest import nearest
from engine.plan.option_values import parse_resolution
from engine.plan.options import by_name

MOST_UNKNOWN = 100
"""Keys that are listed although nobody knows them; a stranger's file may have a hundred thousand."""

UNSAID = "the file does not say: sd-scripts' own"
"""The note on an option that is as sd-scripts has it where nobody says otherwise."""

_OFF = ("no", "none", "default", "false")  # words of a choice that chooses nothing


def interpret(arguments: Arguments, outcome: Outcome) -> None:
    """Carry over into `outcome` what can be, and say of all else why not."""
    learning.optimizer_and_rates(arguments, outcome)
    learning.schedule(arguments, outcome)
    learning.length(arguments, outcome)
    network.carry(arguments, outcome)
    for special in (_attention, _quantised, _prediction, _seed, words.samples, _resolution):
        special(arguments, outcome)
    strange = [name for name in arguments.said if name not in arguments.taken and not is_known(name)]
    unlisted = frozenset(strange[MOST_UNKNOWN:])
    for name, said in arguments.said.items():
        if name not in arguments.taken and name not in unlisted:
            _by_table(name, said, outcome)
    if unlisted:
        outcome.leave(f"{len(unlisted):,} more keys", "", "unknown", "too many that are not known to be listed")
    if arguments.whole:
        _defaults(outcome, arguments.with_dataset)


def is_known(name: str) -> bool:
    """Whether the tables say something of an argument."""
    return name in SAME or left_out(name) is not None or name in OF_OTHER_LORAS or name in OF_BLOCKS


def _by_table(name: str, said: Said, outcome: Outcome) -> None:
    why = left_out(name)
    if name in SAME:
        same(name, said, outcome)
    elif is_empty(said.value):
        outcome.leave(said.key, said.given, "unset", "it is empty", [name])
    elif why is not None and why[0] != "inert" and (is_unset(said.value) or str(said.value).lower() in _OFF):
        outcome.leave(said.key, said.given, "unset", "it is off", [name])
    elif why is not None:
        outcome.leave(said.key, said.given, *why)
    elif name in OF_OTHER_LORAS | OF_BLOCKS:
        outcome.leave(said.key, said.given, "inert", "belongs into network_args")
    else:
        near = nearest(name, SAME)
        outcome.leave(said.key, said.given, "unknown", f"neither sd-scripts nor this program knows it; near is {near}")


def same(name: str, said: Said, outcome: Outcome) -> None:
    """Carry over an argument whose option has its name."""
    if is_empty(said.value) and (by_name()[name].kind != "text" or by_name()[name].default or name in OF_THE_PROJECT):
        outcome.leave(said.key, said.given, "unset", "it is empty", [name])
        return
    if said.value is False and by_name()[name].kind in ("integer", "number"):
        outcome.leave(said.key, said.given, "unset", "it is off", [name])
        return
    value = said.value if said.value is not None else ""
    reading: Mapping[str, Callable[[object], object]] = {
        "switch": switch_of, "integer": whole_of, "number": number_of
    }  # fmt: skip
    read = reading.get(by_name()[name].kind)
    plain = read(value) if read else value
    outcome.carry(said.key, said.given, name, value if plain is None else plain, said.note)


# ------------------------------------------------------------------------------------------------- one key or two
def _attention(arguments: Arguments, outcome: Outcome) -> None:
    for name in ("sdpa", "xformers", "mem_eff_attn"):
        said = arguments.take(name)
        if said is None:
            continue
        on = switch_of(said.value)
        if on is None:
            outcome.leave(said.key, said.given, "bad-value", NO_SWITCH)
        elif name == "mem_eff_attn" and on:
            outcome.leave(said.key, said.given, "always", "sdpa does the same, and is quicker")
        elif not on:
            outcome.leave(said.key, said.given, "unset", "it is off")
        else:
            outcome.carry(said.key, said.given, "attention", name)


def _quantised(arguments: Arguments, outcome: Outcome) -> None:
    for name in ("fp8_base", "fp8_base_unet"):
        said = arguments.take(name)
        if said is None:
            continue
        if switch_of(said.value) is None:
            outcome.leave(said.key, said.given, "bad-value", NO_SWITCH, ["base_weights"])
        elif switch_of(said.value):
            note = "only the U-Net is kept in 8 bits here" if name == "fp8_base" else ""
            outcome.carry(said.key, said.given, "base_weights", "fp8", note)
        elif "base_weights" not in outcome.settings:
            outcome.carry(said.key, said.given, "base_weights", "full")
        else:
            outcome.leave(said.key, said.given, "unset", "it is off")


def _prediction(arguments: Arguments, outcome: Outcome) -> None:
    """Off in the window means an ordinary model; here the base model itself tells."""
    for name in ("v_parameterization", "zero_terminal_snr"):
        said = arguments.take(name)
        if said is None:
            continue
        on = switch_of(said.value)
        if on is False and arguments.from_gui:
            outcome.leave(said.key, said.given, "always", "the base model itself tells (auto)", [name])
        elif str(said.value).strip().lower() == "auto":
            outcome.carry(said.key, said.given, name, "auto")
        else:
            outcome.carry(said.key, said.given, name, said.value if on is None else str(on).lower())


def _seed(arguments: Arguments, outcome: Outcome) -> None:
    said = arguments.take("seed")
    if said is None:
        return
    seed = whole_of(said.value)
    if is_empty(said.value) or (arguments.from_gui and seed == 0):
        reason = "another one each time; here it is always the same, so that a training can be repeated"
        outcome.leave(said.key, said.given, "unset", reason)
    else:
        outcome.carry(said.key, said.given, "seed", said.value if seed is None else seed)


def _resolution(arguments: Arguments, outcome: Outcome) -> None:
    said = arguments.take("resolution")
    if said is None:
        return
    if is_empty(said.value):
        outcome.leave(said.key, said.given, "unset", "it is empty")
        return
    if not outcome.carry(said.key, said.given, "resolution", said.value):
        return
    width, height = parse_resolution(outcome.settings["resolution"])
    if width * height < 768 * 768:
        outcome.find(
            "kohya-small-resolution",
            f"The file trains at {width} × {height}, which is usual for Stable Diffusion 1.5; SDXL wants 1024,1024.",
            "",
            option="resolution",
            value="1024,1024",
        )


def _defaults(outcome: Outcome, with_dataset: bool) -> None:
    every = DEFAULTS | (DATASET_DEFAULTS if with_dataset else {})
    for option, value in every.items():
        if option not in outcome.decided:
            outcome.carry("", "", option, value, UNSAID)
