"""Reading a file of settings: what it is, and one clear sentence for whatever cannot be read."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path

from engine.plan import prompt_files
from engine.plan.errors import UserError, few, inert
from engine.plan.files import absolute_path, reading_errors
from engine.plan.kohya import config_file, dataset_file, gui, lora_file, own_file, words
from engine.plan.kohya.keys import LEFT_OUT, OF_BLOCKS, OF_OTHER_LORAS, OLD_NAMES, SAME
from engine.plan.kohya.outcome import Outcome
from engine.plan.kohya.plain import names
from engine.plan.kohya.said import Said
from engine.plan.safetensors_header import read_header

SUFFIXES = (".json", ".toml", ".txt", ".safetensors")
MAX_BYTES = 4 << 20
"""Of a text file of settings; the largest in the wild have some 20 kB."""
MAX_DEPTH = 20
_FEWEST_OWN = 2
_FEWEST_KEYS = 3  # that a save of the window must have to be taken for one

_GUI_KEYS = names(
    """
    LoRA_type epoch lr_warmup learning_rate unet_lr text_encoder_lr optimizer_args lr_scheduler max_train_epochs
    max_train_steps xformers noise_offset_type conv_dim conv_alpha rank_dropout module_dropout additional_parameters
    """
)
_ONLY_KOHYAS = names(
    """
    LoRA_type max_resolution lr_warmup noise_offset_type xformers caption_extension keep_tokens save_every_n_epochs
    stop_text_encoder_training stop_text_encoder_training_pct mem_eff_attn save_precision bucket_no_upscale
    prior_loss_weight cache_latents_to_disk max_token_length clip_skip
    """
)
_KNOWN = SAME | LEFT_OUT.keys() | OLD_NAMES.keys() | OF_BLOCKS | OF_OTHER_LORAS | _GUI_KEYS


def read(path: Path | str, steps_per_epoch: int | None = None) -> Outcome:
    """What the file at `path` becomes. steps_per_epoch: of the project that it is for; None where that is not known.

    Raises UserError: `no-such-file`, `not-a-file`, `not-readable`, `too-large`, `not-text`, `not-json`, `not-toml`,
    `not-kohya`, `no-settings`, and as `read_header` and `prompt_files.read` do.
    """
    file = absolute_path(path)
    with reading_errors(file):
        if not file.exists():
            raise UserError("no-such-file", f"{file} does not exist.", "Check the spelling of the path.")
        if not file.is_file():
            what = "a folder" if file.is_dir() else "no file"
            raise UserError("not-a-file", f"{file} is {what}.", f"Name a file: {', '.join(SUFFIXES)}.")
    if file.suffix.lower() == ".safetensors":
        tensors, metadata = read_header(file)
        return lora_file.read(metadata, tensors, str(file))
    if file.suffix.lower() == ".txt":
        return _prompts(file)
    text = _text(file)
    if file.suffix.lower() == ".json" or (file.suffix.lower() != ".toml" and text.lstrip()[:1] in ("{", "[")):
        return _json(text, file, steps_per_epoch)
    return _toml(text, file, steps_per_epoch)


def _text(file: Path) -> str:
    with reading_errors(file), open(file, "rb") as opened:
        data = opened.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise UserError(
            "too-large",
            f"{file} is larger than {MAX_BYTES >> 20} MiB: no file of settings is.",
            "Is it the right one?",
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError("not-text", f"{file} is not UTF-8 text (byte {error.start}).", "Choose another file.") from None
    if "\0" in text:
        raise UserError("not-text", f"{file} is not a text file.", "Choose another file.")
    return text


# ------------------------------------------------------------------------------------------------------------ JSON
def _json(text: str, file: Path, steps_per_epoch: int | None) -> Outcome:
    twice: list[str] = []

    def table_of(pairs: list[tuple[str, object]]) -> dict[str, object]:
        table = dict(pairs)
        if len(table) < len(pairs):
            seen: set[str] = set()
            twice.extend(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        return table

    try:
        found = json.loads(text, object_pairs_hook=table_of)
    except RecursionError:
        raise _too_deep(file) from None
    except ValueError as error:
        where = f" in line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        why = error.msg if isinstance(error, json.JSONDecodeError) else "a number has thousands of digits"
        raise UserError(
            "not-json", f"{file} cannot be read as JSON: {why}{where}.", "Save it again in the program it is from."
        ) from None
    _require_flat(found, file)
    if isinstance(found, list):
        return _prompts(file)
    if not isinstance(found, dict):
        raise _not_kohya(file)
    if isinstance(found.get("datasets"), list):
        outcome = dataset_file.read(found)
    else:
        _require_kohya(found, file)
        outcome = gui.read(found, steps_per_epoch)
    _find_twice(twice, "kohya_ss", outcome)
    return outcome


def _find_twice(keys: list[str], program: str, outcome: Outcome) -> None:
    if keys:
        outcome.find(
            "kohya-twice",
            f"Stands in the file twice: {few(dict.fromkeys(inert(key, 40) for key in keys))}.",
            f"The last one counts, as in {program}.",
        )


# ------------------------------------------------------------------------------------------------------------ TOML
def _toml(text: str, file: Path, steps_per_epoch: int | None) -> Outcome:
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UserError(
            "not-toml", f"{file} cannot be read as TOML: {error}.", "Texts need quotes, and switches are true or false."
        ) from None
    except (ValueError, RecursionError):
        raise _too_deep(file) from None
    _require_flat(table, file)
    prompts = table.get("prompt")
    if isinstance(prompts, dict) and isinstance(prompts.get("subset"), list):
        return _prompts(file)
    if isinstance(table.get("datasets"), list):
        return dataset_file.read(table)
    settings = table.get("settings")
    if isinstance(settings, dict) and {"title", "project", "when", "job"} & table.keys():
        return own_file.read(settings, "settings of this program")
    flat = config_file.flattened(table)
    _require_arguments(flat, file)
    outcome = config_file.read(flat, file, _dataset_beside(flat, file), steps_per_epoch)
    _find_twice(config_file.stand_twice(table), "sd-scripts", outcome)
    return outcome


def _dataset_beside(flat: Mapping[str, object], file: Path) -> dict[str, object] | None:
    """The dataset file that a configuration names, where it lies beside it; one that cannot be read is as none."""
    name = flat.get("dataset_config")
    path = words.beside(name, file, (".toml",)) if isinstance(name, str) else None
    if path is None:
        return None
    try:
        table = tomllib.loads(_text(path))
        _require_flat(table, path)
    except (UserError, ValueError, RecursionError):
        return None
    return table


def _prompts(file: Path) -> Outcome:
    lines = prompt_files.read(str(file), None)
    outcome = Outcome("a file of prompts for samples")
    words.prompts(Said(lines, file.name, f"{len(lines)} prompts"), lines, outcome)
    return outcome


# ------------------------------------------------------------------------------------------------------- refusals
def _require_flat(value: object, file: Path) -> None:
    level: list[object] = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return
    raise _too_deep(file)


def _require_kohya(table: Mapping[str, object], file: Path) -> None:
    """Other programs have keys such as learning_rate as well, so a few that are kohya's alone are asked for, or that
    no key is strange, as in one written by hand."""
    known = sum(key in _KNOWN or key in config_file.KNOWN for key in table)
    own = sum(key in _ONLY_KOHYAS for key in table)
    if known < _FEWEST_KEYS or (own < _FEWEST_OWN and known < len(table)):
        raise _not_kohya(file)


def _require_arguments(flat: Mapping[str, object], file: Path) -> None:
    known = sum(key in SAME or key in LEFT_OUT for key in flat)
    if known < _FEWEST_OWN and not config_file.KNOWN & flat.keys():
        raise _not_kohya(file)


def _not_kohya(file: Path) -> UserError:
    return UserError(
        "not-kohya",
        f"{file} holds no settings of kohya's programs.",
        "Wanted is a save of kohya_ss (.json), a configuration of sd-scripts (.toml), or a LoRA (.safetensors).",
    )


def _too_deep(file: Path) -> UserError:
    return UserError("not-kohya", f"{file} is nested deeper than any file of settings is.", "Is it the right one?")
