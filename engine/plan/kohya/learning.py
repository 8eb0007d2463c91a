"""The optimizer with its rates, the schedule, and the length of a training, out of sd-scripts' arguments."""

from __future__ import annotations

from engine.plan.errors import UserError, inert, plural
from engine.plan.kohya import parts
from engine.plan.kohya.outcome import NO_SWITCH, Outcome
from engine.plan.kohya.plain import is_empty, number_of, switch_of, whole_of, words_of
from engine.plan.kohya.said import Arguments, Said
from engine.plan.learning_checks import PRODIGY_LOWEST
from engine.plan.optimizers import KNOWN, is_class_path
from engine.plan.option_values import parse_arguments
from engine.plan.options import by_name

DEFAULT_STEPS = 1600
"""sd-scripts' own max_train_steps, and what stands in the field of kohya_ss' window unless somebody changes it."""

_NO_ARGUMENTS = "must be a list of name=value"

_CLASSES = {
    "pagedadamw": "bitsandbytes.optim.PagedAdamW",
    "pagedadamw8bit": "bitsandbytes.optim.PagedAdamW8bit",
    "pagedadamw32bit": "bitsandbytes.optim.PagedAdamW32bit",
    "lion8bit": "bitsandbytes.optim.Lion8bit",
    "pagedlion8bit": "bitsandbytes.optim.PagedLion8bit",
    "dadaptation": "dadaptation.experimental.DAdaptAdamPreprint",
    "dadaptadampreprint": "dadaptation.experimental.DAdaptAdamPreprint",
    "dadaptadagrad": "dadaptation.DAdaptAdaGrad",
    "dadaptadam": "dadaptation.DAdaptAdam",
    "dadaptadan": "dadaptation.DAdaptAdan",
    "dadaptadanip": "dadaptation.experimental.DAdaptAdanIP",
    "dadaptlion": "dadaptation.DAdaptLion",
    "dadaptsgd": "dadaptation.DAdaptSGD",
}
"""sd-scripts' names for optimizers that have none here, and their classes (`train_util.get_optimizer`)."""


# --------------------------------------------------------------------------------------------------- the optimizer
def optimizer_and_rates(arguments: Arguments, outcome: Outcome) -> None:
    """Rates and arguments fit one optimizer: where that is not there here, they are left out as well."""
    said = _optimizer_said(arguments, outcome)
    rates = ("learning_rate", *parts.RATES)
    if said is not None:
        name = optimizer_named(str(said.value))
        if not name:
            named = inert(said.value, 60)
            why = f"the optimizer {named} is not there here; the project's stays, with its rate and arguments"
            outcome.leave(said.key, said.given, "unsupported", why, ["optimizer_type", "optimizer_args", *rates])
            for other in ("optimizer_args", *rates):
                if (left := arguments.take(other)) is not None:
                    outcome.leave(left.key, left.given, "unsupported", f"is meant for {named}")
            outcome.find("kohya-optimizer", f"The optimizer {named} of that file is not there here.", "Choose one.")
            parts.carry(arguments, outcome, with_rates=False)
            return
        outcome.carry(said.key, said.given, "optimizer_type", name)
    _optimizer_args(arguments, outcome)
    _rate(arguments, outcome)
    parts.carry(arguments, outcome, with_rates=True)
    _one_rate(outcome)


def optimizer_named(text: str) -> str:
    """Our name of an optimizer for sd-scripts' name, which may be in any case, or for a class; "" for none."""
    plain = text.strip().lower()
    for name, known in KNOWN.items():
        if plain in (name.lower(), known.path.lower()):
            return name
    if plain in _CLASSES:
        return _CLASSES[plain]
    last = plain.rpartition(".")[2]
    if "." in plain and last in {name.lower() for name in KNOWN} and "schedulefree" not in plain:
        return optimizer_named(last)
    return text.strip() if is_class_path(text.strip()) and "schedulefree" not in plain else ""


def _optimizer_said(arguments: Arguments, outcome: Outcome) -> Said | None:
    """Also from the switches that older versions had."""
    said = arguments.take("optimizer_type")
    found = said if said is not None and not is_empty(said.value) else None
    for switch, name in (("use_8bit_adam", "AdamW8bit"), ("use_lion_optimizer", "Lion")):
        old = arguments.take(switch)
        if old is None:
            continue
        if switch_of(old.value) is None:
            outcome.leave(old.key, old.given, "bad-value", NO_SWITCH)
        elif switch_of(old.value) and found is None:
            found = Said(name, old.key, old.given)
        else:
            outcome.leave(old.key, old.given, "unset", "the optimizer is named, or it is off")
    if found is None and said is not None:
        outcome.leave(said.key, said.given, "unset", "it is empty")
    return found


def _optimizer_args(arguments: Arguments, outcome: Outcome) -> None:
    said = arguments.take("optimizer_args")
    if said is None:
        if "optimizer_type" in outcome.settings:  # no two optimizers take the same ones
            outcome.carry("", "", "optimizer_args", [], "the file gives none")
        return
    words = words_of(said.value)
    if not words and not is_empty(said.value):
        outcome.leave(said.key, said.given, "bad-value", _NO_ARGUMENTS, ["optimizer_args"])
        return
    try:
        parse_arguments("optimizer_args", tuple(words))
    except UserError as error:
        outcome.leave(said.key, said.given, "bad-value", str(error), ["optimizer_args"])
        outcome.find("kohya-optimizer-args", f"The arguments of the optimizer cannot be read: {error.message}")
        return
    outcome.carry(said.key, said.given, "optimizer_args", words)


def _rate(arguments: Arguments, outcome: Outcome) -> None:
    said = arguments.take("learning_rate")
    if said is None:
        return
    rate = number_of(said.value)
    if is_empty(said.value) or (arguments.from_gui and rate == 0):
        own = all(not is_empty(arguments.value(name)) for name in parts.RATES)
        why = "each part has a rate of its own" if own else "no learning rate is set"
        outcome.leave(said.key, said.given, "unset", why, ["learning_rate"])
        return
    outcome.carry(said.key, said.given, "learning_rate", said.value if rate is None else rate)


def _one_rate(outcome: Outcome) -> None:
    """What Prodigy makes of a rate that was meant for another optimizer."""
    rates = [outcome.settings.get(name) for name in ("learning_rate", *parts.RATES)]
    numbers = [number for rate in rates for number in [number_of(rate)] if number is not None]
    if outcome.settings.get("optimizer_type") != "Prodigy" or not numbers or max(numbers) >= PRODIGY_LOWEST:
        return
    outcome.find(
        "kohya-prodigy-rate",
        f"With Prodigy a learning rate of {max(numbers):g} learns almost nothing: the rate multiplies a step that "
        "Prodigy finds by itself. It is carried over as it stands.",
        "It was probably meant for AdamW; 1.0 is Prodigy's.",
        option="learning_rate",
        value=1.0,
    )


# ---------------------------------------------------------------------------------------------------- the schedule
def schedule(arguments: Arguments, outcome: Outcome) -> None:
    """The schedule's name, its warm-up, and what goes with them."""
    said = arguments.take("lr_scheduler")
    if said is not None and not is_empty(said.value):
        name = str(said.value).strip().lower()
        if name == "adafactor" or name.startswith("adafactor:"):
            outcome.leave(said.key, said.given, "always", "Adafactor finds the rate by itself with relative_step=True")
        else:
            outcome.carry(said.key, said.given, "lr_scheduler", name)
    elif said is not None:
        outcome.leave(said.key, said.given, "unset", "it is empty", ["lr_scheduler"])
    for name in ("lr_warmup_steps", "lr_decay_steps"):
        _steps(name, arguments, outcome)
    for name in ("lr_scheduler_num_cycles", "lr_scheduler_power", "lr_scheduler_min_lr_ratio"):
        said = arguments.take(name)
        if said is None:
            continue
        number = whole_of(said.value) if by_name()[name].kind == "integer" else number_of(said.value)
        if is_empty(said.value):
            outcome.leave(said.key, said.given, "unset", "it is empty")
        else:
            outcome.carry(said.key, said.given, name, said.value if number is None else number, said.note)
    if (said := arguments.take("lr_scheduler_args")) is not None:
        words = words_of(said.value)
        if words or is_empty(said.value):
            outcome.carry(said.key, said.given, "lr_scheduler_args", words)
        else:
            outcome.leave(said.key, said.given, "bad-value", _NO_ARGUMENTS, ["lr_scheduler_args"])
    if outcome.settings.get("lr_scheduler") == "constant" and outcome.settings.get("lr_warmup_steps"):
        outcome.find(
            "kohya-constant-warmup",
            "sd-scripts refuses a constant schedule with a warm-up; here it warms up and then stays constant.",
            "Without a warm-up: lr_warmup_steps = 0.",
            option="lr_warmup_steps",
            value=0,
        )


def _steps(name: str, arguments: Arguments, outcome: Outcome) -> None:
    said = arguments.take(name)
    if said is None:
        return
    number = number_of(said.value)
    if is_empty(said.value):
        outcome.leave(said.key, said.given, "unset", "it is empty", [name])
    elif number is not None and 0 < number < 1:
        outcome.carry(said.key, said.given, name, number, said.note or "a share of all steps")
    else:
        outcome.carry(said.key, said.given, name, said.value if number is None else number)


# ------------------------------------------------------------------------------------------------------ the length
def length(arguments: Arguments, outcome: Outcome) -> None:
    """Epochs are what counts here. max_train_steps becomes epochs where the project's steps are known."""
    epochs, steps = arguments.take("max_train_epochs"), arguments.take("max_train_steps")
    number = whole_of(epochs.value) if epochs is not None else None
    if epochs is not None and not is_empty(epochs.value) and number != 0:
        value = epochs.value if number is None else number
        outcome.carry(epochs.key, epochs.given, "max_train_epochs", value, epochs.note)
        if steps is not None:
            outcome.leave(steps.key, steps.given, "inert", "the epochs are given, and count there as well")
        return
    if epochs is not None:
        outcome.leave(epochs.key, epochs.given, "unset", "the steps count there")
    count = whole_of(steps.value) if steps is not None else None
    if steps is not None and not is_empty(steps.value) and (count is None or count <= 0):
        outcome.leave(steps.key, steps.given, "bad-value", "must be a whole number above 0")
        return
    if count is None and not arguments.whole:
        if steps is not None:
            outcome.leave(steps.key, steps.given, "unset", "it is empty")
        return
    key, given = (steps.key, steps.given) if steps is not None and count is not None else ("max_train_steps", "")
    _from_steps(key, given, count or DEFAULT_STEPS, arguments.steps_per_epoch, outcome)


def _from_steps(key: str, given: object, count: int, per_epoch: int | None, outcome: Outcome) -> None:
    whose = (
        f"The file trains {count:,} steps" if given else f"The file gives no length: sd-scripts trains {count:,} steps"
    )
    default = " (its default, which is often left by mistake)" if given and count == DEFAULT_STEPS else ""
    if per_epoch is None:
        reason = "a training is as long as its epochs; how many these steps are depends on the pictures"
        outcome.leave(key, given, "differs", reason)
        outcome.find(
            "kohya-max-train-steps",
            f"{whose}{default}, whatever its epochs. Here a training is as long as its epochs, so the length is not "
            "carried over.",
            "Set max_train_epochs; check shows how many steps that makes.",
        )
        return
    epochs = max(1, round(count / per_epoch))
    outcome.carry(key, given, "max_train_epochs", epochs, f"{count:,} steps at {per_epoch:,} an epoch")
    outcome.find(
        "kohya-max-train-steps",
        f"{whose}{default}; with this project's {per_epoch:,} steps an epoch the nearest is "
        f"{plural(epochs, 'epoch')}, {epochs * per_epoch:,} steps.",
        "Change max_train_epochs if you want another length.",
    )
