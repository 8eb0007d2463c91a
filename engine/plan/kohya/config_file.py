"""sd-scripts' configuration (`--config_file`): its sections only order it, all keys become one table.

(`train_util.read_config_from_file`.)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from engine.plan import prompt_files
from engine.plan.errors import UserError
from engine.plan.kohya import dataset_file, words
from engine.plan.kohya.arguments import interpret
from engine.plan.kohya.keys import OLD_NAMES
from engine.plan.kohya.outcome import Outcome
from engine.plan.kohya.plain import names
from engine.plan.kohya.said import Arguments, Said

KIND = "a configuration of sd-scripts"
_OF_A_TRAINING = names(
    """
    network_module optimizer_type learning_rate network_dim max_train_epochs max_train_steps network_args
    network_train_unet_only unet_lr
    """
)
KNOWN = _OF_A_TRAINING | names(
    """
    network_args lr_scheduler lr_warmup_steps optimizer_args text_encoder_lr sample_prompts sample_sampler sdpa
    xformers network_train_text_encoder_only fp8_base use_8bit_adam
    """
)
"""Keys beside those of the table of keys that tell such a file."""


def flattened(table: Mapping[str, object]) -> dict[str, object]:
    """All keys in one table, as sd-scripts makes it: a later section goes over an earlier one."""
    flat: dict[str, object] = {}
    for name, value in table.items():
        flat.update(value if isinstance(value, dict) else {name: value})
    return flat


def stand_twice(table: Mapping[str, object]) -> list[str]:
    """Keys that several sections have."""
    every = [name for section in table.values() if isinstance(section, dict) for name in section]
    every += [name for name, value in table.items() if not isinstance(value, dict)]
    return [name for name, count in Counter(every).items() if count > 1]


def read(
    flat: Mapping[str, object], file: Path, dataset: Mapping[str, object] | None, steps_per_epoch: int | None = None
) -> Outcome:
    """What a configuration becomes. dataset: the dataset file that it names, where that could be read."""
    outcome = Outcome(KIND)
    named = bool(flat.get("dataset_config"))
    arguments = Arguments(
        {},
        whole=bool(_OF_A_TRAINING & flat.keys()),
        with_dataset=not named or dataset is not None,
        steps_per_epoch=steps_per_epoch,
    )
    for key, value in flat.items():
        lost = arguments.add(OLD_NAMES.get(key, key), Said(value, key, value))
        if lost is not None:
            outcome.leave(lost.key, lost.given, "inert", "stands there twice, in an old and a new spelling")
    if dataset is not None:
        outcome.leave(
            "dataset_config", flat["dataset_config"], "project", "lies beside this file, and was read as well"
        )
        arguments.taken.add("dataset_config")
        arguments.said.update(dataset_file.said(dataset, outcome))
    elif named:
        outcome.find(
            "kohya-dataset-elsewhere",
            "How its pictures and captions are used stands in another file, which is not beside this one.",
            "Import that file as well.",
        )
    _prompts_beside(arguments, file)
    interpret(arguments, outcome)
    return outcome


def _prompts_beside(arguments: Arguments, file: Path) -> None:
    """The file of prompts that it names, where it lies beside it."""
    said = arguments.said.get("sample_prompts")
    if said is None or not isinstance(said.value, str):
        return
    path = words.beside(said.value, file, prompt_files.ENDINGS)
    if path is None:
        return
    try:
        lines = prompt_files.read(str(path), None)
    except UserError:
        return
    arguments.said["sample_prompts"] = Said(lines, said.key, said.given, "the file beside it")
