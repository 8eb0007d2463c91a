"""The field "additional parameters" of kohya_ss' window: sd-scripts' own command line, over what stands elsewhere."""

from __future__ import annotations

from engine.plan.kohya.keys import OLD_NAMES
from engine.plan.kohya.outcome import Outcome
from engine.plan.kohya.plain import is_empty
from engine.plan.kohya.said import Arguments, Said

_KEY = "additional_parameters"
_OF_SEVERAL = ("network_args", "optimizer_args", "lr_scheduler_args", "text_encoder_lr")
_OVER = "additional_parameters says another value, which counts"


def additional(extra: object, arguments: Arguments, outcome: Outcome) -> None:
    """Say its arguments; what they go over is left out."""
    if is_empty(extra):
        outcome.leave(_KEY, extra, "unset", "it is empty")
        return
    for argument, values in _words(extra, outcome).items():
        several = len(values) > 1 and argument in _OF_SEVERAL
        worth: object = True if not values else values if several else " ".join(values)
        if argument == "max_train_steps":
            _drop_epochs(arguments, outcome)
        lost = arguments.add(OLD_NAMES.get(argument, argument), Said(worth, _named(argument), _shown(values)))
        if lost is not None:
            leave_lost(lost, outcome, _OVER)


def _words(extra: object, outcome: Outcome) -> dict[str, list[str]]:
    """The words after each --name; of one that stands there twice the last counts, as for any command."""
    name, given, before = "", dict[str, list[str]](), []
    for word in str(extra).replace('"', "").split():
        if word.startswith("--"):
            name, _, after = word[2:].partition("=")
            if name in given:
                outcome.leave(_named(name), _shown(given[name]), "inert", "stands there twice, and the last one counts")
            given[name] = [after] if after else []
        elif name:
            given[name].append(word)
        else:
            before.append(word)
    if before or not given:
        outcome.leave(_KEY, " ".join(before) or extra, "bad-value", "must be arguments as --name value")
    return given


def leave_lost(lost: Said, outcome: Outcome, reason: str) -> None:
    """List what another value of the same argument goes over."""
    if lost.key:
        outcome.leave(lost.key, lost.given, "inert", reason)
    elif isinstance(lost.value, dict):  # the fields of the network
        for inner in lost.value.values():
            if inner.key and inner.key != "LoRA_type":
                outcome.leave(inner.key, inner.given, "inert", "network_args are given as a whole, and count")


def _drop_epochs(arguments: Arguments, outcome: Outcome) -> None:
    """The window makes steps of its field Epoch, over which those of the command line go."""
    said = arguments.said.get("max_train_epochs")
    if said is None or said.key != "epoch":
        return
    del arguments.said["max_train_epochs"]
    outcome.leave(said.key, said.given, "inert", "additional_parameters says max_train_steps, which counts")
    outcome.findings = [found for found in outcome.findings if found.code != "kohya-1600-steps"]


def _named(argument: str) -> str:
    return f"{_KEY}: --{argument}"


def _shown(values: list[str]) -> str:
    return " ".join(values) or "true"
