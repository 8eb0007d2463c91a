"""How layers of values (defaults, preset, project.toml, --set) become one frozen `Settings`.

The options themselves are declared in `options.py`. A value that does not fit is refused in one plain sentence that
names the option and what it takes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping

from pydantic import ValidationError

from engine.plan.errors import UserError
from engine.plan.nearest import nearest
from engine.plan.optimizers import usual_args
from engine.plan.option import Option
from engine.plan.option_reading import BETWEEN, bad_value, in_own_type, parse
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
        raise bad_value(by_name()[key], merged.get(key), where.get(key, "")) from None


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


def parse_text(name: str, text: str) -> object:
    """The value that `--set name=text` means: TOML (`true`, `0.1`, `["a", "b"]`) or sd-scripts' text (`True`,
    `1024,1024`, `a=1 b=2`); of several prompts each on a line of its own, or with BETWEEN between them.

    Its range is checked by `resolve`.
    Raises UserError: `unknown-option`, `bad-value`.
    """
    check_names([name])
    return parse(by_name()[name], text)


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
        plain = in_own_type(option, value)
        # Their own validators word the errors of these better than a type could.
        if name in _OWN_WORDS:
            Settings.model_validate({name: plain})
        return plain
    except UserError as error:
        raise UserError(error.code, f"{where}: {error.message}" if where else error.message, error.hint) from None
    except ValidationError:
        raise bad_value(option, value, where) from None
