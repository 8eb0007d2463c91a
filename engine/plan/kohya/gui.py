"""Saves of kohya_ss' window (.json, versions 21 to 26) as sd-scripts' arguments, made as that window makes them.

There "", False and 0 all mean "not set" and are not passed on, so that sd-scripts' own default holds
(`lora_gui.py: train_model`).
"""

from __future__ import annotations

from collections.abc import Mapping

from engine.plan.errors import plural
from engine.plan.kohya.arguments import interpret
from engine.plan.kohya.defaults import OF_ZERO
from engine.plan.kohya.gui_network import network
from engine.plan.kohya.gui_parameters import additional, leave_lost
from engine.plan.kohya.gui_rates import rates
from engine.plan.kohya.keys import OLD_NAMES
from engine.plan.kohya.learning import DEFAULT_STEPS
from engine.plan.kohya.outcome import Outcome
from engine.plan.kohya.plain import is_unset, number_of, switch_of, whole_of
from engine.plan.kohya.said import Arguments, Said

KIND = "a save of kohya_ss' window"

_OTHER_MODELS = {
    "flux1_checkbox": "Flux", "sd3_checkbox": "Stable Diffusion 3", "hunyuan_image_checkbox": "HunyuanImage",
    "anima_checkbox": "Anima", "lumina_checkbox": "Lumina",
}  # fmt: skip


def read(table: Mapping[str, object], steps_per_epoch: int | None = None) -> Outcome:
    """What a save becomes. steps_per_epoch: of the project that it is for; None where that is not known."""
    outcome = Outcome(KIND)
    left = {key: value for key, value in table.items() if value is not None}
    for key in [key for key in table if key not in left]:
        outcome.leave(key, None, "unset", "it is empty")
    arguments = Arguments({}, from_gui=True, steps_per_epoch=steps_per_epoch)
    _what_it_is_for(left, outcome)
    for part in (_noise, _length, _warm_up, _attention, rates):
        part(left, arguments, outcome)
    network(left, arguments, outcome)
    extra = left.pop("additional_parameters", None)
    for key, value in left.items():
        name = OLD_NAMES.get(key, key)
        if name in OF_ZERO and is_unset(value):
            note = "0 and empty mean 'not set' there: sd-scripts' own" if not _same(value, OF_ZERO[name]) else ""
            arguments.said[name] = Said(OF_ZERO[name], key, value, note)
        else:
            lost = arguments.add(name, Said(value, key, value))
            if lost is not None:
                leave_lost(lost, outcome, f"{name} stands there twice, in an old and a new spelling")
    if extra is not None:
        additional(extra, arguments, outcome)
    interpret(arguments, outcome)
    _text_cache(outcome)
    return outcome


def _same(value: object, other: object) -> bool:
    return number_of(value) is not None and number_of(value) == number_of(other)


def _what_it_is_for(left: dict[str, object], outcome: Outcome) -> None:
    other = next((model for key, model in _OTHER_MODELS.items() if switch_of(left.get(key))), "")
    sdxl = left.get("sdxl", left.get("sdxl_checkbox"))
    if other or (sdxl is not None and switch_of(sdxl) is False):
        outcome.find(
            "kohya-other-model",
            f"The file is for {other or 'Stable Diffusion 1 or 2'}, not for SDXL: its rates, ranks and sizes may not "
            "suit.",
            "Look at the resolution and the learning rate first.",
        )
    if "LoRA_type" not in left:
        outcome.find(
            "kohya-no-lora-type",
            "The file names no kind of LoRA: it may be for DreamBooth, fine-tuning or an embedding.",
            "Look at the rank and the learning rate first.",
        )


def _noise(left: dict[str, object], arguments: Arguments, outcome: Outcome) -> None:
    """The window passes on either the offset or multires noise."""
    said = left.pop("noise_offset_type", None)
    multires = str(said).strip().lower() == "multires"
    if said is not None:
        why = "multires noise is used, and no offset" if multires else "the offset is used, and no multires noise"
        outcome.leave("noise_offset_type", said, "inert", f"only chooses there: {why}")
    unused = (
        ("noise_offset", "noise_offset_random_strength", "adaptive_noise_scale")
        if multires
        else ("multires_noise_iterations", "multires_noise_discount")
    )
    for key in unused:
        if key not in left:
            continue
        value = left.pop(key)
        if is_unset(value) and key in ("noise_offset", "multires_noise_iterations"):
            arguments.said[key] = Said(0, key, value)
            continue
        outcome.leave(key, value, "inert", f"not used there with noise_offset_type {said or 'Original'}")
        if key in ("noise_offset", "multires_noise_iterations"):
            arguments.said[key] = Said(0, "", "", "off there, whatever the file says")


def _length(left: dict[str, object], arguments: Arguments, outcome: Outcome) -> None:
    """Epochs count only where Max train steps is 0, which it is not unless somebody has cleared it."""
    epoch, epochs = left.pop("epoch", None), left.pop("max_train_epochs", None)
    there, steps = "max_train_steps" in left, left.pop("max_train_steps", None)
    count, wanted = whole_of(steps) or 0, whole_of(epoch)
    if is_unset(steps) and there and not is_unset(left.get("dataset_config")):
        count = DEFAULT_STEPS  # with a dataset file the window works out no steps
    if not is_unset(epochs):
        arguments.said["max_train_epochs"] = Said(epochs, "max_train_epochs", epochs)
        if epoch is not None:
            outcome.leave("epoch", epoch, "inert", "max_train_epochs is set, and counts")
        if there:
            outcome.leave("max_train_steps", steps, "inert", "max_train_epochs is set, and counts")
        return
    if epochs is not None:
        outcome.leave("max_train_epochs", epochs, "unset", "epoch or max_train_steps count there")
    if count > 0:
        arguments.said["max_train_steps"] = Said(count, "max_train_steps", steps)
        if epoch is not None:
            outcome.leave("epoch", epoch, "inert", "max_train_steps is above 0, and counts")
        if wanted:
            outcome.find(
                "kohya-epoch-ignored",
                f"Its field Epoch says {wanted}, and has no effect there while Max train steps says {count:,}.",
                f"If epochs were meant: max_train_epochs = {wanted}.",
                option="max_train_epochs",
                value=wanted,
            )
        return
    unread = there and not is_unset(steps)
    if unread:
        outcome.leave("max_train_steps", steps, "bad-value", "must be a whole number above 0")
    elif there:
        what = "no length is set" if is_unset(epoch) else "the epochs count"
        outcome.leave("max_train_steps", steps, "unset", what)
    if epoch is None:
        return
    if is_unset(epoch):
        outcome.leave("epoch", epoch, "unset", "no length is set")
        return
    arguments.said["max_train_epochs"] = Said(epoch, "epoch", epoch)
    if unread and wanted:
        outcome.find(
            "kohya-length-unread",
            "Its field Max train steps holds no number of steps, though there it counts before the epochs unless it "
            f"is 0. Here the {plural(wanted, 'epoch')} count.",
            "check shows how many steps they make.",
        )
    if not there and wanted:
        outcome.find(
            "kohya-1600-steps",
            f"The file does not set Max train steps, and kohya_ss has {DEFAULT_STEPS:,} there unless it was cleared: "
            f"it would stop after {DEFAULT_STEPS:,} steps, whatever the {wanted} epochs. Here the epochs count.",
            "check shows how many steps they make.",
        )


def _warm_up(left: dict[str, object], arguments: Arguments, outcome: Outcome) -> None:
    """A share of the steps in percent; newer versions have a number of steps over it."""
    percent, steps = left.pop("lr_warmup", None), left.pop("lr_warmup_steps", None)
    share, count = number_of(percent), number_of(steps)
    over = count is not None and count > 0
    if steps is not None and over:
        arguments.said["lr_warmup_steps"] = Said(int(count or 0), "lr_warmup_steps", steps)
    elif steps is not None and count is None and not is_unset(steps):
        outcome.leave("lr_warmup_steps", steps, "bad-value", "must be a whole number")
    elif steps is not None:
        outcome.leave("lr_warmup_steps", steps, "unset", "the percentage counts")
    if percent is None:
        return
    if over:
        outcome.leave("lr_warmup", percent, "inert", "lr_warmup_steps is set, and counts")
    elif is_unset(percent):
        arguments.said["lr_warmup_steps"] = Said(0, "lr_warmup", percent)
    elif share is None or not 0 < share < 100:
        outcome.leave("lr_warmup", percent, "bad-value", "must be a percentage from 0 to 99", ["lr_warmup_steps"])
    else:
        arguments.said["lr_warmup_steps"] = Said(share / 100, "lr_warmup", percent, "percent as a share of all steps")
    cycles = left.get("lr_scheduler_num_cycles")
    if isinstance(cycles, str) and not cycles.strip():
        left.pop("lr_scheduler_num_cycles")
        outcome.leave("lr_scheduler_num_cycles", cycles, "unset", "it is empty")


def _attention(left: dict[str, object], arguments: Arguments, outcome: Outcome) -> None:
    """Which one changes nothing that is learnt, and the window's usual xformers is a package of its own."""
    if "xformers" in left:
        outcome.leave("xformers", left.pop("xformers"), "always", "PyTorch's own attention does the same here")


def _text_cache(outcome: Outcome) -> None:
    trains_text = outcome.settings.get("train_text_encoder_1", True)
    if outcome.settings.get("cache_text_encoder_outputs") is False and not trains_text:
        outcome.find(
            "kohya-text-cache",
            "The file does not encode captions once, which sd-scripts cannot do together with caption dropout. Here "
            "both go together, and it saves about 1.6 GB of GPU memory.",
            "cache_text_encoder_outputs = true.",
            level="note",
            option="cache_text_encoder_outputs",
            value=True,
        )
