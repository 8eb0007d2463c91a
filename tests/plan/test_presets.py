"""The presets that come with the program: what they set, what they never touch, what they change in a project."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from engine.plan import presets
from engine.plan.checks import check_settings
from engine.plan.estimate import estimate
from engine.plan.gpu_catalogue import cards
from engine.plan.gpu_room import TIGHT_SHARE
from engine.plan.gpus import gib
from engine.plan.preset_changes import changes, start_from, worth_saving
from engine.plan.presets import OF_THE_PROJECT, Preset
from engine.plan.project import Project
from engine.plan.settings import Settings, options, resolve, to_dict

ROOT = Path(__file__).parents[2]
NAMES = presets.names()
WANTED = {
    "guide", "character", "style", "object", "high-quality", "fast-draft", "v-pred", "low-memory-8gb",
    "low-memory-12gb", "low-memory-16gb", "low-memory-24gb", "ai-now-prodigy", "demo",
}  # fmt: skip
OWN_VALUES: dict[str, object] = {
    "pretrained_model_name_or_path": "micro",
    "vae": "/models/vae.safetensors",
    "network_weights": "/loras/older.safetensors",
    "output_name": "zibo-2",
    "training_comment": "trigger: zibo",
    "sample_prompts": ["zibo in the rain"],
    "caption_extension": ".caption",
    "caption_prefix": "zibo, ",
    "caption_suffix": "photo",
    "caption_separator": ";",
    "secondary_separator": ";;;",
    "keep_tokens_separator": "|||",
}


def settings_of(name: str) -> Settings:
    return resolve(presets.load(name).settings)


def test_all_are_there_the_guides_first():
    assert set(NAMES) == WANTED
    assert (NAMES[0], NAMES[-1]) == ("guide", "demo")


@pytest.mark.parametrize("name", NAMES)
def test_each_says_in_one_sentence_when_to_use_it(name):
    preset = presets.load(name)
    assert preset.when.startswith("For ")
    assert preset.when.endswith(".")
    assert ". " not in preset.when
    assert all(note.endswith(".") for note in preset.notes)


@pytest.mark.parametrize("name", NAMES)
def test_a_card_that_one_names_can_calculate_as_it_says_or_it_says_what_else(name):
    preset = presets.load(name)
    without = {card.name.partition(" GB")[0].rpartition(" ")[0] for card in cards() if card.bf16 is False}
    assert "T4" in without
    named = [card for card in without if re.search(rf"\b{card}\b", preset.when)]
    if settings_of(name).mixed_precision == "bf16" and named:
        assert "fp16" in preset.when


@pytest.mark.parametrize("name", NAMES)
def test_none_sets_a_path_or_a_name(name):
    assert not OF_THE_PROJECT & set(presets.load(name).settings)


def test_every_option_that_takes_a_path_is_the_projects_own():
    assert {option.name for option in options() if option.kind == "path"} <= OF_THE_PROJECT
    assert set(OWN_VALUES) == OF_THE_PROJECT


@pytest.mark.parametrize("name", [name for name in NAMES if name != "guide"])
def test_each_sets_only_what_differs_from_the_defaults(name):
    said = presets.load(name).settings
    usual = to_dict(resolve())
    # Arguments of another optimizer are always said, so that the form shows them as the preset's.
    assert {option for option, value in said.items() if usual[option] == value} == set()
    if "optimizer_type" in said:
        assert "optimizer_args" in said


@pytest.mark.parametrize("name", NAMES)
def test_a_comment_stands_above_every_value(name):
    if name in ("guide", "demo"):
        return
    text = (presets.folder() / f"{name}.toml").read_text(encoding="utf-8").split("[settings]")[1]
    assert all(block.strip().startswith("# ") for block in text.strip().split("\n\n"))


@pytest.mark.parametrize("name", [name for name in NAMES if name != "demo"])
def test_none_is_found_fault_with_on_full_size_sdxl(name, project, sdxl_folder):
    project.preset = name
    settings = project.resolved({"pretrained_model_name_or_path": str(sdxl_folder)})
    found = check_settings(settings, None, project)
    unmarked = {"v-prediction-unmarked", "zero-terminal-snr-unmarked"} if name == "v-pred" else set()
    assert {finding.code for finding in found if finding.level != "note"} == unmarked
    assert not [finding for finding in found if finding.stops_training()]


def test_the_demos_fits_the_practice_model(project):
    project.preset = "demo"
    settings = project.resolved({"pretrained_model_name_or_path": "micro"})
    assert not [finding for finding in check_settings(settings, None, project) if finding.level != "note"]


# kohya_ss' presets/lora/SDXL - LoRA AI_Now prodigy v1.0.json, under the names that its values have here.
_KOHYAS = {
    "bucket_no_upscale": True, "bucket_reso_steps": 32, "cache_latents": True, "caption_dropout_every_n_epochs": 0,
    "caption_dropout_rate": 0.0, "caption_extension": ".txt", "enable_bucket": True, "max_train_epochs": 160,
    "flip_aug": False, "gradient_accumulation_steps": 1, "gradient_checkpointing": True, "keep_tokens": 0,
    "learning_rate": 1.0, "network_weights": "", "lr_scheduler": "constant", "lr_scheduler_num_cycles": 1,
    "lr_warmup_steps": 0, "max_bucket_reso": 2048, "resolution": "1024,1024", "max_timestep": 1000,
    "max_token_length": 75, "min_bucket_reso": 256, "min_snr_gamma": 5.0, "min_timestep": 0,
    "mixed_precision": "bf16", "module_dropout": 0.0, "multires_noise_iterations": 0, "network_alpha": 16.0,
    "network_dim": 32, "network_dropout": 0.0, "noise_offset": 0.0, "adaptive_noise_scale": 0.0,
    "optimizer_type": "Prodigy",
    "optimizer_args": ["weight_decay=0.01", "decouple=True", "d0=0.0001", "use_bias_correction=True"],
    "prior_loss_weight": 1.0, "rank_dropout": 0.0, "save_every_n_epochs": 10, "save_every_n_steps": 0,
    "save_last_n_steps": 0, "save_precision": "bf16", "scale_v_pred_loss_like_noise_pred": False,
    "scale_weight_norms": 5.0, "cache_text_encoder_outputs": False, "shuffle_caption": False,
    "train_text_encoder_1": True, "train_text_encoder_2": True, "train_unet": True, "train_batch_size": 8,
    "weighted_captions": False, "sample_every_n_steps": 0, "conv_dim": 0,
}  # fmt: skip


def test_the_original_of_kohya_has_its_values_key_by_key():
    values = to_dict(settings_of("ai-now-prodigy"))
    assert {name: values[name] for name in _KOHYAS} == _KOHYAS


def test_cards_with_less_memory_get_what_needs_less():
    cards = [settings_of(f"low-memory-{size}gb") for size in (8, 12, 16, 24)]
    assert [card.network_dim for card in cards] == [16, 32, 64, 96]
    assert {card.network_alpha / card.network_dim for card in cards} == {0.5}
    assert {card.train_batch_size * card.gradient_accumulation_steps for card in cards} == {2}
    assert {card.train_batch_size for card in cards} == {1}
    assert {card.cache_text_encoder_outputs and card.cache_latents for card in cards} == {True}
    assert [card.gradient_checkpointing for card in cards] == [True, True, True, False]
    assert [card.base_weights for card in cards] == ["fp8", "full", "full", "full"]
    for card in cards[:2]:
        assert card.optimizer_type == "Adafactor"
        assert card.optimizer_kwargs == {"scale_parameter": False, "relative_step": False, "warmup_init": False}
        assert card.learning_rate == 0.0002


@pytest.mark.parametrize(
    ("name", "gigabytes"),
    [
        ("low-memory-8gb", (8,)),
        ("low-memory-12gb", (10, 11, 12)),
        ("low-memory-16gb", (16,)),
        ("low-memory-24gb", (24,)),
    ],
)
def test_each_for_a_small_card_fits_on_every_card_of_that_size(name, gigabytes):
    """As the preset has it, for pictures of 1024 × 1024, on a card that nothing else uses; its note says the need."""
    settings, notes = settings_of(name), " ".join(presets.load(name).notes)
    assert settings.size == (1024, 1024)
    fitting = [card for card in cards() if card.gigabytes in gigabytes and card.kind == "cuda"]
    assert len(fitting) > 5
    for card in fitting:
        own = settings if card.bf16 else settings.model_copy(update={"mixed_precision": "fp16"})
        found = estimate(own, None, replace(card.as_gpu(), free_bytes=card.bytes))
        assert found.fits, card.name
        assert found.needs < TIGHT_SHARE * card.bytes, card.name
        assert not found.samples_in_tiles, card.name
    needs = f"a step needs {gib(found.needs)} and a sample {gib(found.bill.phases['sampling'])}."
    assert needs in notes


# ------------------------------------------------------------------------------------------------ taken in a project
def hostile() -> Preset:
    """As no file gives it: `own_presets` drops these names. Taken all the same, it must not do harm."""
    stolen = {name: value for name, value in OWN_VALUES.items() if name != "pretrained_model_name_or_path"}
    return Preset("mine", "Mine", "For me.", stolen | {"vae": "/etc/passwd", "network_dim": 8}, own=True)


@pytest.mark.parametrize("preset", [*map(presets.load, NAMES), hostile()], ids=lambda preset: preset.name)
def test_taking_one_touches_no_path_and_no_name(project, preset):
    project.settings = OWN_VALUES | {"network_dim": 5, "seed": 7}
    before = Project.open(project.path)
    told = changes(project, preset)
    start_from(project, preset)
    assert {name: project.settings[name] for name in OWN_VALUES} == OWN_VALUES
    assert not OF_THE_PROJECT & {change.option.name for change in told}
    assert (project.name, project.trigger, project.class_name) == (before.name, before.trigger, before.class_name)
    assert (project.repeats, project.left_out) == (before.repeats, before.left_out)
    resolved = to_dict(project.resolved())
    assert {name: resolved[name] for name in OWN_VALUES} == OWN_VALUES


@pytest.mark.parametrize("name", NAMES)
def test_what_is_told_is_what_happens(project, name):
    project.preset, project.settings = "style", {"network_dim": 5, "optimizer_type": "Lion", "learning_rate": 1e-5}
    before = to_dict(project.resolved())
    told = {change.option.name: (change.before, change.after) for change in changes(project, presets.load(name))}
    assert to_dict(project.resolved()) == before
    start_from(project, presets.load(name))
    after = to_dict(project.resolved())
    assert told == {key: (before[key], after[key]) for key in before if before[key] != after[key]}
    assert after == to_dict(settings_of(name))
    assert changes(project, presets.load(name)) == []


def test_what_cannot_be_used_now_is_told_as_it_stands(project):
    project.settings = {"train_batch_size": "two"}
    told = {change.option.name: (change.before, change.after) for change in changes(project, presets.load("guide"))}
    assert told == {"train_batch_size": ("two", 2)}


@pytest.mark.parametrize("name", NAMES)
def test_what_is_worth_saving_resolves_to_the_same_settings(name):
    assert resolve(worth_saving(settings_of(name))) == settings_of(name)


def test_another_optimizer_with_prodigys_arguments_is_saved_with_them():
    odd = resolve({"optimizer_type": "some.Other", "optimizer_args": resolve().optimizer_args})
    assert resolve(worth_saving(odd)) == odd


# -------------------------------------------------------------------------------------------------------------- docs
def table() -> list[str]:
    """The table of docs/presets.md, from the files."""
    rows = ["| preset | when | what differs from the guide |", "|---|---|---|"]
    for name in NAMES:
        preset = presets.load(name)
        said = ", ".join(f"`{option}` {_typed(value)}" for option, value in preset.settings.items())
        said = "nothing" if name == presets.DEFAULT else said
        rows.append(f"| `{name}` | {preset.when} | {said} |")
    return rows


def _typed(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list):
        return f"`{' '.join(map(str, value))}`" if value else "none"
    return str(value)


def test_the_documentation_has_what_stands_in_the_files():
    said = (ROOT / "docs" / "presets.md").read_text(encoding="utf-8")
    assert "\n".join(table()) in said
