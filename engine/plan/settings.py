"""How layers of values (defaults, preset, project.toml, --set) become one frozen `Settings`.

The options themselves are declared in `options.py`. A value that does not fit is refused in one plain sentence that
names the option and what it takes.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import math
import tomllib
from collections.abc import Iterable, Mapping

from pydantic import ValidationError

from engine.plan.errors import UserError, inert
from engine.plan.optimizers import usual_args
from engine.plan.option import Option
from engine.plan.option_values import OF_ARGUMENTS
from engine.plan.options import Settings, by_name, options

__all__ = [
    "BETWEEN",
    "Option",
    "Settings",
    "check_names",
    "nearest",
    "options",
    "parse_text",
    "resolve",
    "resolve_named",
    "sha256",
    "to_dict",
]

# What other programs, and people, call our options. Only used to name the right one.
_OTHER_NAMES = {
    "alpha": "network_alpha",
    "attn_mode": "attention",
    "base_model": "pretrained_model_name_or_path",
    "batch_size": "train_batch_size",
    "dim": "network_dim",
    "epoch": "max_train_epochs",
    "epochs": "max_train_epochs",
    "fp8_base": "base_weights",
    "fp8_base_unet": "base_weights",
    "load_in_4bit": "base_weights",
    "lr": "learning_rate",
    "max_resolution": "resolution",
    "mem_eff_attn": "attention",
    "model": "pretrained_model_name_or_path",
    "optimizer": "optimizer_type",
    "rank": "network_dim",
    "sample_prompt": "sample_prompts",
    "sampler": "sample_sampler",
    "sdpa": "attention",
    "xformers": "attention",
}

_OWN_WORDS = frozenset(
    {
        "caption_extension",
        "caption_separator",
        "max_token_length",
        "lr_scheduler_args",
        "optimizer_args",
        "output_name",
        "resolution",
        "sample_sampler",
        "text_encoder_lr",
        "unet_lr",
    }
)
BETWEEN = " | "  # several prompts, where they are typed on one line; A1111's own | has no blanks around it
_TRUE, _FALSE = frozenset({"true", "yes", "on", "1"}), frozenset({"false", "no", "off", "0"})


def resolve(*layers: Mapping[str, object]) -> Settings:
    """The settings that `layers` give together, later ones over earlier ones, all over the defaults.

    Raises UserError: `unknown-option` (naming the nearest known one), `bad-value`.
    """
    return resolve_named(("", layer) for layer in layers)


def resolve_named(layers: Iterable[tuple[str, Mapping[str, object]]]) -> Settings:
    """As `resolve`, with a name for each layer ("project.toml") that errors begin with; "" for none.

    Where a later layer changes the optimizer without giving arguments, those that an earlier layer gave to the other
    optimizer do not carry over: no two optimizers take the same ones.
    """
    merged: dict[str, object] = {}
    where: dict[str, str] = {}
    for name, layer in layers:
        check_names(layer, name)
        values = {key: _read(key, value, name) for key, value in layer.items()}
        before = merged.get("optimizer_type", "Prodigy")
        optimizer = values.get("optimizer_type", before)
        if optimizer != before and "optimizer_args" not in values:
            values["optimizer_args"] = usual_args(str(optimizer))
        merged |= values
        where |= dict.fromkeys(values, name)
    try:
        return Settings.model_validate(merged)
    except ValidationError as error:
        key = str(error.errors(include_url=False, include_input=False)[0]["loc"][0])
        raise _bad_value(by_name()[key], merged.get(key), where.get(key, "")) from None


def check_names(names: Iterable[str], where: str = "") -> None:
    """Refuse names that are no options. Raises UserError `unknown-option`, naming the nearest known one."""
    for name in names:
        if name in by_name():
            continue
        place = f"{where}: " if where else ""
        if name == "max_train_steps":
            raise UserError(
                "unknown-option",
                f"{place}max_train_steps is not an option here.",
                "Use max_train_epochs: the number of steps follows from it and is shown by check.",
            )
        raise UserError(
            "unknown-option",
            f'{place}"{name}" is not an option.',
            f"The nearest one is {nearest(name, by_name(), _OTHER_NAMES)}.",
        )


def nearest(name: str, known: Iterable[str], other_names: Mapping[str, str] | None = None) -> str:
    """The known name that a mistyped one is most like."""
    aliases = other_names or {}
    plain = name.strip().strip("-").lower().replace("-", "_").replace(" ", "_")[:80]
    names = list(known)
    close = difflib.get_close_matches(plain, [*names, *aliases], n=1, cutoff=0.0)
    if plain not in names and plain in aliases:
        return aliases[plain]
    return aliases.get(close[0], close[0]) if close else ""


def parse_text(name: str, text: str) -> object:
    """The value that `--set name=text` means: TOML (`true`, `0.1`, `["a", "b"]`) or sd-scripts' text (`True`,
    `1024,1024`, `a=1 b=2`); of several prompts each on a line of its own, or with BETWEEN between them.

    Its range is checked by `resolve`.
    Raises UserError: `unknown-option`, `bad-value`.
    """
    check_names([name])
    option = by_name()[name]
    plain = text.strip()
    match option.kind:
        case "switch":
            if plain.lower() in _TRUE | _FALSE:
                return plain.lower() in _TRUE
        case "integer" | "number":
            number = _number(plain)
            if number is not None:
                return number
        case "choice" | "open":
            unquoted = _unquoted(plain)
            for choice in option.choices:
                if choice.lower() == unquoted.lower():
                    return choice
            if option.kind == "open":
                return unquoted
        case "list":
            items = _toml_value(plain) if plain.startswith("[") else None
            if isinstance(items, list) and all(isinstance(item, str) for item in items):
                return tuple(items)
            if name in OF_ARGUMENTS:
                if not plain.startswith("["):
                    return tuple(_unquoted(plain).split())
            elif not isinstance(items, list) and not plain.startswith(('["', "['")):  # else A1111's [red:blue:0.5]
                parts = [part.strip() for line in _unquoted(plain).splitlines() for part in line.split(BETWEEN)]
                return tuple(part for part in parts if part)
        case "text" | "path":
            return _unquoted(plain)
    raise _bad_value(option, text)


def to_dict(settings: Settings) -> dict[str, object]:
    """The settings as plain values that TOML and JSON can hold (lists for tuples), in the order of a form."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in settings.model_dump().items()}


def sha256(settings: Settings) -> str:
    """A fingerprint of all resolved settings, the same on every machine: 64 hexadecimal digits."""
    text = json.dumps(to_dict(settings), sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _read(name: str, value: object, where: str) -> object:
    """`value` in the option's own type, where that changes nothing in what was meant."""
    option = by_name()[name]
    try:
        if isinstance(value, str) and option.kind not in ("text", "list"):
            return parse_text(name, value)
        if option.kind == "integer" and isinstance(value, float) and value.is_integer():
            return int(value)
        # Their own validators word the errors of these better than a type could.
        if name in _OWN_WORDS:
            Settings.model_validate({name: value})
        return value
    except UserError as error:
        raise UserError(error.code, f"{where}: {error.message}" if where else error.message, error.hint) from None
    except ValidationError:
        raise _bad_value(option, value, where) from None


def _bad_value(option: Option, value: object, where: str = "") -> UserError:
    place = f"{where}: " if where else ""
    shown = f'"{inert(value, 100)}"' if isinstance(value, str) else inert(value, 100)
    return UserError("bad-value", f"{place}{option.name} must be {_expected(option)}, not {shown}.")


def _expected(option: Option) -> str:
    match option.kind:
        case "switch":
            return "true or false"
        case "choice":
            return f"{', '.join(option.choices[:-1])} or {option.choices[-1]}"
        case "open":
            return f"{', '.join(option.choices)} or {option.otherwise}"
        case "list":
            return "a list of texts"
        case "text" | "path":
            return "a text"
        case "integer" | "number":
            noun = "a whole number" if option.kind == "integer" else "a number"
            if option.minimum is None or option.maximum is None:
                return noun
            limited = f"{noun} from {option.minimum:g} to {_plain_number(option.maximum)}"
            return f"{limited}, {option.otherwise}" if option.otherwise else limited


def _plain_number(number: float) -> str:
    return str(int(number)) if float(number).is_integer() else f"{number:g}"


def _number(text: str) -> int | float | None:
    try:
        return int(text) if len(text) < 20 else float(text)
    except ValueError:
        pass
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _unquoted(text: str) -> str:
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'":
        value = _toml_value(text)
        if isinstance(value, str):
            return value
    return text


def _toml_value(text: str) -> object:
    try:
        return tomllib.loads(f"value = {text}").get("value")
    except (ValueError, RecursionError):  # also numbers of thousands of digits, and as many brackets
        return None
