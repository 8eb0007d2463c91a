"""The metadata in a LoRA file as settings: "train like this one".

A LoRA that was trained here holds all its settings. Others hold sd-scripts' `ss_*` keys, whose values are all texts:
"None" for what was not set, "True" and "False" for switches, JSON for what is nested.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Mapping

from engine.plan.errors import UserError, inert
from engine.plan.kohya import dataset_file, own_file
from engine.plan.kohya.arguments import interpret
from engine.plan.kohya.defaults import DATASET_DEFAULTS, DEFAULTS
from engine.plan.kohya.keys import LEFT_OUT, SAME
from engine.plan.kohya.outcome import Outcome
from engine.plan.kohya.parts import PARTS_OF, RATES, WORDS
from engine.plan.kohya.plain import is_empty, names, number_of, whole_of
from engine.plan.kohya.said import Arguments, Said

OWN_KEY = "lora_tui.settings"
OWN_KIND, KIND = "a LoRA that was trained here", "the metadata of a LoRA"
MAX_KEYS = 1000
MAX_VALUE_BYTES = 1 << 20
"""Of a value that is read; lists of all tags of thousands of pictures are not."""

_NAMES = {
    "debiased_estimation": "debiased_estimation_loss",
    "batch_size_per_device": "train_batch_size",
    "num_epochs": "max_train_epochs",
}
_SET = SAME | names(
    """
    learning_rate unet_lr text_encoder_lr lr_scheduler lr_warmup_steps network_module optimizer_type fp8_base
    fp8_base_unet full_fp16 color_aug random_crop face_crop_aug_range max_train_epochs lowram resize_interpolation
    max_validation_steps clip_skip v2
    """
)
_LAYERS = {"train_unet": "lora_unet_", "train_text_encoder_1": "lora_te1_", "train_text_encoder_2": "lora_te2_"}
_THEIR = {"unet_lr": "its", "text_encoder_lr": "their"}
_CALL = re.compile(r"\s*([\w.]+)\s*(?:\((.*)\))?\s*", re.DOTALL)


def read(metadata: Mapping[str, str], tensors: Iterable[str], name: str) -> Outcome:
    """What the metadata of the LoRA `name` become. tensors: names of its tensors, which tell the parts it changes.

    Raises UserError `no-settings`.
    """
    own = _json(metadata.get(OWN_KEY, ""))
    if isinstance(own, dict):
        return own_file.read(own, OWN_KIND)
    if not any(key.startswith("ss_network_") or key == "ss_learning_rate" for key in metadata):
        raise UserError(
            "no-settings",
            f"{name} does not tell how it was trained.",
            "LoRAs of kohya's programs and of this one do, unless that was switched off.",
        )
    outcome = Outcome(KIND)
    arguments = Arguments({})
    for key, text in itertools.islice(metadata.items(), MAX_KEYS):
        _one(key, text, arguments, outcome)
    if len(metadata) > MAX_KEYS:
        outcome.leave(f"{len(metadata) - MAX_KEYS:,} more keys", "", "fact", "too many to be listed")
    if not metadata.get("ss_base_model_version", "sdxl").startswith("sdxl"):
        outcome.find(
            "kohya-other-model",
            "The LoRA was made for another model than SDXL: its rates, ranks and sizes may not suit.",
            "Look at the resolution and the learning rate first.",
        )
    _optimizer(metadata, arguments, outcome)
    _network_args(metadata, arguments, outcome)
    _datasets(metadata, arguments, outcome)
    _parts(list(tensors), arguments, outcome)
    steps, epochs = whole_of(metadata.get("ss_steps")), whole_of(metadata.get("ss_max_train_steps"))
    if steps and epochs and steps < epochs:
        outcome.note("kohya-midway", f"It was saved at step {steps:,} of {epochs:,}: the training went on.")
    interpret(arguments, outcome)
    return outcome


def _one(key: str, text: str, arguments: Arguments, outcome: Outcome) -> None:
    name = key.removeprefix("ss_")
    name = _NAMES.get(name, name)
    if key in ("ss_optimizer", "ss_network_args", "ss_datasets"):
        return
    if key == OWN_KEY:
        outcome.leave(key, text, "bad-value", "cannot be read")
        return
    if key == "modelspec.timestep_range" and (found := re.fullmatch(r"\s*(\d{1,4}),\s*(\d{1,4})\s*", text)):
        arguments.said["min_timestep"] = Said(int(found[1]), key, text)
        arguments.said["max_timestep"] = Said(int(found[2]), key, text)
    elif key.startswith("ss_") and name != "epoch" and (name in _SET or name in LEFT_OUT):
        arguments.said[name] = Said(_value(name, text), key, text, "not set there" if text == "None" else "")
    else:
        outcome.leave(key, text, "fact", "tells what was trained, and sets nothing")


def _value(name: str, text: str) -> object:
    if name == "text_encoder_lr" and isinstance(several := _json(text), list):
        return several  # newer versions of sd-scripts keep a list
    if text != "None":
        return text.strip("() ") if name == "resolution" else text
    every = DEFAULTS | DATASET_DEFAULTS
    return every[name] if name in every and name not in ("learning_rate",) else None


def _optimizer(metadata: Mapping[str, str], arguments: Arguments, outcome: Outcome) -> None:
    """`prodigyopt.prodigy.Prodigy(decouple=True,weight_decay=0.01)`: the class and what it was given."""
    text = metadata.get("ss_optimizer")
    if text is None:
        return
    found = _CALL.fullmatch(text[:MAX_VALUE_BYTES])
    if not text.strip() or found is None:
        _leave_unread("ss_optimizer", text, outcome)
        return
    given = [part.replace(" ", "") for part in _split(found[2] or "")]
    _say("optimizer_type", Said(found[1], "ss_optimizer", text), arguments, outcome)
    _say("optimizer_args", Said(given, "ss_optimizer", text), arguments, outcome)


def _say(name: str, said: Said, arguments: Arguments, outcome: Outcome) -> None:
    """Say an argument that a key of its own may have said before."""
    if (lost := arguments.said.get(name)) is not None:
        outcome.leave(lost.key, lost.given, "inert", f"{said.key.partition(':')[0]} says it as well, and counts")
    arguments.said[name] = said


def _split(text: str) -> list[str]:
    """At commas that stand in no bracket."""
    parts, depth, begin = [], 0, 0
    for place, letter in enumerate(text):
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and depth == 0:
            parts.append(text[begin:place])
            begin = place + 1
    return [part.strip() for part in [*parts, text[begin:]] if part.strip()]


def _network_args(metadata: Mapping[str, str], arguments: Arguments, outcome: Outcome) -> None:
    text = metadata.get("ss_network_args")
    if text is None:
        return
    found = _json(text)
    if not isinstance(found, dict) or not found:
        _leave_unread("ss_network_args", text, outcome)
        return
    inner = {str(key): Said(value, f"ss_network_args: {inert(key, 40)}", value) for key, value in found.items()}
    if "dropout" in inner and "network_dropout" in arguments.said:
        inner.pop("dropout")  # sd-scripts writes it twice
    arguments.said["network_args"] = Said(inner, "", "")


def _datasets(metadata: Mapping[str, str], arguments: Arguments, outcome: Outcome) -> None:
    """What stands in place of the flat keys where a dataset file was used."""
    text = metadata.get("ss_datasets")
    if text is None:
        return
    found = _json(text)
    if not isinstance(found, list) or not found:
        _leave_unread("ss_datasets", text, outcome)
        return
    facts = ("is_dreambooth", "tag_frequency", "bucket_info", "num_train_images", "num_reg_images", "img_count")
    plain = [_without(dataset, facts) for dataset in found[:1000] if isinstance(dataset, dict)]
    for name, said in dataset_file.said({"datasets": plain}, outcome).items():
        _say(name, Said(said.value, f"ss_datasets: {said.key}", said.given), arguments, outcome)


def _without(dataset: dict[str, object], facts: Iterable[str]) -> dict[str, object]:
    kept = {key: value for key, value in dataset.items() if key not in facts and value is not None}
    subsets = kept.get("subsets")
    if isinstance(subsets, list):
        kept["subsets"] = [
            {key: value for key, value in subset.items() if key not in facts and value is not None}
            for subset in subsets
            if isinstance(subset, dict)
        ]
    return kept


def _parts(tensors: list[str], arguments: Arguments, outcome: Outcome) -> None:
    """Which parts it changes: no key says so, but the names of the tensors do."""
    if not any(name.startswith(tuple(_LAYERS.values())) for name in tensors):
        return
    for part, layers in _LAYERS.items():
        found = any(name.startswith(layers) for name in tensors)
        note = "it has layers of it" if found else "it has no layers of it"
        arguments.said[part] = Said(found, "names of its tensors", "", note)
    main = number_of(arguments.value("learning_rate"))
    for rate in RATES:
        said = arguments.said.get(rate)
        if said is None or is_empty(said.value):
            continue
        if not any(arguments.value(part) for part in PARTS_OF[rate]):
            nothing = f"this LoRA has no layers of {WORDS[rate]}, so {_THEIR[rate]} rate did nothing"
            outcome.leave(said.key, said.given, "inert", nothing)
            outcome.carry("", "", rate, "", "that part is not trained")
            del arguments.said[rate]
        elif main is not None and number_of(said.value) == main:
            arguments.said[rate] = Said("", said.key, said.given, "the same as the learning rate")


def _leave_unread(key: str, text: str, outcome: Outcome) -> None:
    if text.strip() in ("", "None", "null", "[]", "{}"):
        outcome.leave(key, text, "unset", "it is empty")
    else:
        outcome.leave(key, text, "bad-value", "cannot be read")


def _json(text: str) -> object:
    try:
        return json.loads(text) if text and len(text) <= MAX_VALUE_BYTES else None
    except (ValueError, RecursionError):
        return None
