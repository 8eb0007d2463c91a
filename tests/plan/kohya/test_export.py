"""What is written for sd-scripts: it knows every key, and it reads back as what it was."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from engine.plan.base_model import BaseModel
from engine.plan.errors import UserError
from engine.plan.kohya.exporting import Exported, Subset, export, write
from engine.plan.kohya.opening import read as open_file
from engine.plan.option import Option
from engine.plan.options import options
from engine.plan.settings import Settings, resolve, to_dict
from tests.plan.kohya.sd_scripts_arguments import DATASET, GENERAL, LISTS, SUBSET, TYPES

OURS_ALONE = {
    "checkpoint_every_n_steps", "keep_last_n_checkpoints", "num_processes", "use_ema", "ema_decay",
    "diff_output_preservation_multiplier", "train_text_encoder_1", "train_text_encoder_2", "train_unet",
    "cache_text_encoder_outputs", "allow_smaller_buckets",
}  # fmt: skip
OF_THE_PROJECT = {"pretrained_model_name_or_path", "vae", "output_name", "training_comment", "network_weights"}
WORDS = {
    "optimizer_type": st.sampled_from(["Prodigy", "AdamW", "AdamW8bit", "Adafactor", "Lion", "a.B"]),
    "optimizer_args": st.sampled_from([[], ["weight_decay=0.01"], ["betas=(0.9,0.99)", "eps=1e-08"]]),
    "lr_scheduler_args": st.sampled_from([[], ['step_rules="1:100,0.1"']]),
    "sample_prompts": st.sampled_from([[], ["ohwx, a man --w 1024 --h 768 --n blurry", "b --d 7"]]),
    "sample_sampler": st.sampled_from(["euler_a", "dpmsolver++"]),
    "resolution": st.sampled_from(["1024,1024", "832,1216"]),
    "unet_lr": st.sampled_from(["", "0.0002", "1e-05"]),
    "text_encoder_lr": st.sampled_from(["", "5e-05"]),
    "max_token_length": st.sampled_from([75, 150, 225]),
    "caption_extension": st.sampled_from([".txt", ".caption"]),
    "caption_separator": st.sampled_from([",", ";"]),
    "base_weights": st.sampled_from(["full", "fp8"]),
    "network_alpha": st.floats(0.5, 128).map(lambda number: round(number, 3)),
}


def value_of(option: Option) -> st.SearchStrategy[object]:
    if option.name in WORDS:
        return WORDS[option.name]  # type: ignore[return-value]
    if option.kind == "switch":
        return st.booleans()
    if option.kind == "choice":
        return st.sampled_from(option.choices)
    low, high = option.minimum or 0, option.maximum or 0
    if option.kind == "integer":
        return st.sampled_from([int(low), int(high), min(int(high), int(low) + 7)])
    if option.kind == "number":
        middle = round(low + (high - low) / 3, 4)
        return st.sampled_from([low, middle if "steps" not in option.name else 0.25, high])
    return st.sampled_from(["", "|||", 'a "b" \\ c'])


@st.composite
def any_settings(draw: st.DrawFn) -> Settings:
    known = [option for option in options() if option.name not in OURS_ALONE | OF_THE_PROJECT]
    values = {option.name: draw(value_of(option)) for option in known if draw(st.booleans())}
    texts = draw(st.booleans())
    values |= {"train_text_encoder_1": texts, "train_text_encoder_2": texts, "cache_text_encoder_outputs": False}
    if values.get("validate_every_n_epochs") == 0:
        del values["validate_every_n_epochs"]  # cannot be said there
    values["train_unet"] = draw(st.booleans()) or not texts
    if not values.get("conv_dim"):
        values.pop("conv_alpha", None)  # what no convolution uses is not written
    found = resolve(values)
    return resolve(values, {"lr_scheduler": found.schedule})  # sd-scripts refuses constant with a warm-up


def exported_to(folder: Path, exported: Exported, name: str = "x") -> Path:
    for old in folder.glob("*"):
        old.unlink()
    return write(exported, folder, name)[0]


@given(any_settings(), st.booleans())
@hypothesis_settings(max_examples=25, deadline=None)
def test_what_was_exported_reads_back_as_it_was(tmp_path_factory, wanted, with_folders):
    folder = tmp_path_factory.getbasetemp() / "round"
    folder.mkdir(exist_ok=True)
    subsets = [Subset(Path("/p/img/25_ohwx man"), 25, "ohwx man")] if with_folders else []
    found = open_file(exported_to(folder, export(wanted, subsets, name="x")))
    base = {name: getattr(wanted, name) for name in OURS_ALONE if not name.startswith(("train_", "cache_"))}
    back, before = to_dict(resolve(base, found.settings)), to_dict(wanted)
    if not wanted.sample_prompts:  # then no key of samples is written
        back |= {name: before[name] for name in before if name.startswith("sample_")}
    assert {name: value for name, value in back.items() if value != before[name]} == {}
    assert not [line for line in found.left_out if line.why in ("unknown", "bad-value", "unsupported")]


@given(any_settings())
@hypothesis_settings(max_examples=20, deadline=None)
def test_sd_scripts_knows_every_key_and_its_type(wanted):
    written = export(wanted, [Subset(Path("/p/1_a"), 3, "a", True)], name="x")
    flat = {key: value for section in tomllib.loads(written.config).values() for key, value in section.items()}
    for key, value in flat.items():
        assert type(value) in TYPES[key], key
        if key in LISTS:
            assert all(isinstance(item, LISTS[key]) for item in value)
    dataset = tomllib.loads(written.dataset)
    for table, types in (
        (dataset["general"], GENERAL), (dataset["datasets"][0], DATASET), (dataset["datasets"][0]["subsets"][0], SUBSET)
    ):  # fmt: skip
        for key, value in table.items():
            assert isinstance(value, types[key]), key
    # sd-scripts divides by these, so that a 0 would end a training.
    assert not [
        key for key in flat if key.startswith(("save_every", "sample_every", "validate_every")) and not flat[key]
    ]


def test_the_guides_settings_do_without_what_sd_scripts_forbids():
    written = export(resolve())
    flat = {key: value for section in tomllib.loads(written.config).values() for key, value in section.items()}
    assert flat["cache_text_encoder_outputs"] is False  # not with caption dropout there
    assert flat["network_train_unet_only"] is True
    assert flat["optimizer_args"] == ["weight_decay=0.01", "decouple=True", "d0=0.0001", "use_bias_correction=True"]
    codes = [finding.code for finding in written.findings]
    assert codes == ["sd-scripts-no-prompts", "sd-scripts-prediction", "not-in-sd-scripts"]
    assert "# checkpoint_every_n_steps = 250" in written.config
    assert "never change" in written.config
    texts = export(resolve({"train_text_encoder_1": True, "train_text_encoder_2": True, "shuffle_caption": False}))
    assert "never change" not in texts.config
    assert "while a text encoder is trained" in texts.config


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"use_ema": True}, "use_ema"),
        ({"base_weights": "nf4"}, "base_weights"),
        ({"diff_output_preservation_multiplier": 1.0}, "diff_output_preservation_multiplier"),
        ({"num_processes": 2}, "num_processes"),
        ({"sample_sampler": "DPM++ 2M Karras", "sample_prompts": ["a cat --w 64 --h 64"]}, "sample_sampler"),
        ({"pretrained_model_name_or_path": "micro"}, "pretrained_model_name_or_path"),
        ({"train_text_encoder_1": True}, "train_text_encoder_2"),
        (
            {"train_text_encoder_1": True, "train_text_encoder_2": True, "text_encoder_lr": "1e-4 2e-4"},
            "text_encoder_lr",
        ),
    ],
)
def test_what_cannot_be_said_is_a_comment_and_a_finding(values, word):
    written = export(resolve(values))
    assert any(word in finding.message for finding in written.findings)
    assert f"# {word} = " in written.config


def flat(written: Exported) -> dict[str, object]:
    return {key: value for section in tomllib.loads(written.config).values() for key, value in section.items()}


def test_sd_scripts_is_told_where_loras_go_and_what_they_are_called():
    """It joins both with file names at its first sample or save, and ends with a TypeError without."""
    found = flat(export(resolve(), name="x"))
    assert (found["output_dir"], found["output_name"]) == ("output", "x")
    mine = flat(export(resolve({"output_name": "me"}), name="x", loras=Path("/p/model"), lora="y"))
    assert (mine["output_dir"], mine["output_name"]) == ("/p/model", "me")


def test_without_prompts_it_draws_no_samples():
    """With sample_every_n_steps and no file of prompts sd-scripts ends with an error at that step."""
    written = export(resolve({"sample_at_first": True, "sample_sampler": "ddim"}))
    assert not [key for key in flat(written) if key.startswith("sample_")]
    assert "# sample_every_n_steps = 250" in written.config
    assert "sample_every_n_steps" in next(f.hint for f in written.findings if f.code == "sd-scripts-no-prompts")
    some = export(resolve({"sample_prompts": ["a cat"]}))
    assert {"sample_every_n_steps", "sample_prompts", "sample_sampler"} <= set(flat(some))
    none = export(resolve({"sample_every_n_steps": 0}))
    assert "sd-scripts-no-prompts" not in {finding.code for finding in none.findings}


def base_model(prediction: str, zero: bool) -> BaseModel:
    return BaseModel("single-file", Path("b"), "sdxl", prediction, 32, zero_terminal_snr=zero)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("base", "values", "expected", "is_told"),
    [
        (base_model("v_prediction", True), {}, (True, True), False),
        (base_model("v_prediction", False), {}, (True, None), False),
        (base_model("epsilon", False), {}, (None, None), False),
        (base_model("v_prediction", True), {"v_parameterization": "false"}, (False, None), False),
        (None, {}, (None, None), True),
        (None, {"v_parameterization": "true"}, (True, None), True),
        (None, {"v_parameterization": "false"}, (False, None), False),
        (None, {"v_parameterization": "true", "zero_terminal_snr": "true"}, (True, True), False),
    ],
)
def test_what_the_base_model_predicts_is_written_or_asked_for(base, values, expected, is_told):
    written = export(resolve(values), base=base)
    found = flat(written)
    assert (found.get("v_parameterization"), found.get("zero_terminal_snr")) == expected
    warned = [finding for finding in written.findings if finding.code == "sd-scripts-prediction"]
    assert [finding.level for finding in warned] == ["warning"] * is_told


def test_prompts_without_a_size_are_told():
    assert "sd-scripts-sizes" in {finding.code for finding in export(resolve({"sample_prompts": ["a cat"]})).findings}
    sized = resolve({"sample_prompts": ["a cat --w 1024 --h 1024"]})
    assert "sd-scripts-sizes" not in {finding.code for finding in export(sized).findings}


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "x.toml").write_text("mine")
    with pytest.raises(UserError) as refused:
        write(export(resolve()), tmp_path, "x")
    assert refused.value.code == "exists"
    assert (tmp_path / "x.toml").read_text() == "mine"
    assert list(tmp_path.iterdir()) == [tmp_path / "x.toml"]


def test_names_of_folders_with_quotes_and_escapes(tmp_path):
    folder = Path('/p/1_a "b" \x1b[31m\n c')
    text = export(resolve(), [Subset(folder, 1, folder.name)]).dataset
    assert "\x1b" not in text
    tomllib.loads(text)
