"""What a model predicts: read from its own marks, overruled by settings, and said where the two disagree."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.plan.base_model import BaseModel, recognise
from engine.plan.checks import check_settings
from engine.plan.errors import Finding, UserError
from engine.plan.objective import as_trained, settled
from engine.plan.settings import parse_text, resolve

UNET = "model.diffusion_model."
SDXL = {
    UNET + "input_blocks.0.0.weight": ("F16", (320, 4, 3, 3)),
    UNET + "input_blocks.8.1.transformer_blocks.9.norm1.weight": ("F16", (2,)),
    "first_stage_model.encoder.conv_in.weight": ("F16", (2, 3, 3, 3)),
    "conditioner.embedders.0.transformer.text_model.embeddings.token_embedding.weight": ("F16", (4, 2)),
    "conditioner.embedders.1.model.transformer.resblocks.0.ln_1.weight": ("F16", (2,)),
}
EMPTY = ("F32", (0,))
EPSILON, V, V_ZERO = ("epsilon", False), ("v_prediction", False), ("v_prediction", True)


def said(base: BaseModel) -> tuple[str, bool]:
    return base.prediction_type, base.zero_terminal_snr


def model(prediction: tuple[str, bool]) -> BaseModel:
    kind, zero = prediction
    return BaseModel("single-file", Path("/m"), "sdxl", kind, 32, zero_terminal_snr=zero)  # type: ignore[arg-type]


# --------------------------------------------------------------------------------------------------------------- marks
@pytest.mark.parametrize(
    ("marks", "expected", "notes"),
    [((), EPSILON, 0), (("v_pred",), V, 0), (("v_pred", "ztsnr"), V_ZERO, 0), (("ztsnr",), EPSILON, 1)],
)
def test_a_single_files_empty_tensors_say_what_it_predicts(tmp_path, safetensors_file, marks, expected, notes):
    base = recognise(safetensors_file(tmp_path / "m.safetensors", SDXL | dict.fromkeys(marks, EMPTY)))
    assert said(base) == expected
    assert len(base.notes) == notes


@pytest.mark.parametrize(
    ("config", "expected", "words"),
    [
        ({"prediction_type": "epsilon"}, EPSILON, ""),
        ({}, EPSILON, ""),
        ({"prediction_type": "v_prediction"}, V, "v-prediction"),
        (
            {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True},
            V_ZERO,
            "v-prediction and zero-terminal SNR",
        ),
        ({"prediction_type": "epsilon", "rescale_betas_zero_snr": True}, EPSILON, ""),
    ],
)
def test_a_folders_scheduler_says_what_the_model_predicts(sdxl_folder, config, expected, words):
    (sdxl_folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(config), encoding="utf-8")
    base = recognise(sdxl_folder)
    assert said(base) == expected
    assert base.prediction_in_words == words


# ------------------------------------------------------------------------------------------------------------ settings
@pytest.mark.parametrize(("value", "word"), [(True, "true"), (False, "false"), ("true", "true"), ("auto", "auto")])
def test_booleans_of_a_file_are_words(value, word):
    made = resolve({"v_parameterization": value, "zero_terminal_snr": value})
    assert (made.v_parameterization, made.zero_terminal_snr) == (word, word)
    assert parse_text("v_parameterization", "True") == "true"


def test_what_is_neither_is_refused_in_words():
    with pytest.raises(UserError, match="v_parameterization must be auto, true or false, not 1"):
        resolve({"v_parameterization": 1})


@pytest.mark.parametrize(
    ("marks", "velocity", "zero", "expected"),
    [
        (EPSILON, "auto", "auto", EPSILON),
        (V, "auto", "auto", V),
        (V_ZERO, "auto", "auto", V_ZERO),
        (V_ZERO, "false", "auto", EPSILON),
        (V_ZERO, "auto", "false", V),
        (EPSILON, "true", "auto", V),
        (EPSILON, "true", "true", V_ZERO),
        (EPSILON, "auto", "true", ("epsilon", True)),
    ],
)
def test_settings_overrule_the_marks_and_nothing_stays_open(marks, velocity, zero, expected):
    settings = resolve({"v_parameterization": velocity, "zero_terminal_snr": zero})
    assert said(as_trained(model(marks), settings)) == expected
    agreed, base = settled(settings, model(marks))
    assert said(base) == expected
    words = (str(expected[0] == "v_prediction").lower(), str(expected[1]).lower())
    assert (agreed.v_parameterization, agreed.zero_terminal_snr) == words


def test_no_noise_level_left_is_refused():
    with pytest.raises(UserError) as refused:
        settled(resolve({"min_timestep": 500, "max_timestep": 500}), model(EPSILON))
    assert refused.value.code == "no-timesteps"


# -------------------------------------------------------------------------------------------------------------- checks
def findings(project, folder, scheduler=None, **settings) -> dict[str, Finding]:
    if scheduler:
        (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(scheduler), encoding="utf-8")
    resolved = project.resolved({"pretrained_model_name_or_path": str(folder)} | settings)
    return {finding.code: finding for finding in check_settings(resolved, None, project)}


VELOCITY = {"prediction_type": "v_prediction"}
ZERO = VELOCITY | {"rescale_betas_zero_snr": True}


@pytest.mark.parametrize(
    ("scheduler", "settings", "code", "option", "mended"),
    [
        (None, {"min_timestep": 600, "max_timestep": 500}, "no-timesteps", "min_timestep", 0),
        (None, {"multires_noise_discount": 0.5}, "option-without-effect", "multires_noise_discount", 0.3),
        (None, {"multires_noise_iterations": 6}, "multires-and-offset", "noise_offset", 0.0),
        (
            None,
            {"adaptive_noise_scale": 0.1, "noise_offset": 0},
            "option-without-effect",
            "adaptive_noise_scale",
            0.0,
        ),
        (
            None,
            {"noise_offset_random_strength": True, "noise_offset": 0},
            "option-without-effect",
            "noise_offset_random_strength",
            False,
        ),
        (
            None,
            {"ip_noise_gamma_random_strength": True},
            "option-without-effect",
            "ip_noise_gamma_random_strength",
            False,
        ),
        (None, {"huber_c": 0.5}, "option-without-effect", "huber_c", 0.1),
        (None, {"loss_type": "huber", "huber_scale": 2}, "option-without-effect", "huber_scale", 1.0),
        (None, {"debiased_estimation_loss": True}, "debiased-and-min-snr", "min_snr_gamma", 0.0),
        (None, {"v_parameterization": True}, "v-prediction-unmarked", "v_parameterization", "auto"),
        (None, {"zero_terminal_snr": True}, "zero-terminal-snr-without-v", "zero_terminal_snr", "auto"),
        (
            None,
            {"scale_v_pred_loss_like_noise_pred": True},
            "v-loss-without-v",
            "scale_v_pred_loss_like_noise_pred",
            False,
        ),
        (VELOCITY, {"v_parameterization": False}, "v-prediction-ignored", "v_parameterization", "auto"),
        (VELOCITY, {"zero_terminal_snr": True}, "zero-terminal-snr-unmarked", "zero_terminal_snr", "auto"),
        (VELOCITY, {"v_pred_like_loss": 0.5}, "v-like-loss-with-v", "v_pred_like_loss", 0.0),
        (ZERO, {"zero_terminal_snr": False}, "zero-terminal-snr-ignored", "zero_terminal_snr", "auto"),
        (ZERO, {}, "offset-with-zero-terminal-snr", "noise_offset", 0.0),
    ],
)
def test_what_does_not_go_together_is_said_with_what_mends_it(
    project, sdxl_folder, scheduler, settings, code, option, mended
):
    found = findings(project, sdxl_folder, scheduler, **settings)[code]
    assert (found.option, found.value) == (option, mended)
    assert found.hint.startswith(f"Set {option} = ")
    mending = findings(project, sdxl_folder, scheduler, **(settings | {option: mended}))
    assert code not in mending


def test_what_goes_together_is_not_criticised(project, sdxl_folder):
    usual = set(findings(project, sdxl_folder))
    fine = {"loss_type": "huber", "huber_c": 0.2, "ip_noise_gamma": 0.1, "v_pred_like_loss": 0.5, "max_timestep": 900}
    assert set(findings(project, sdxl_folder, **fine)) == usual
    marked = findings(project, sdxl_folder, ZERO, noise_offset=0, scale_v_pred_loss_like_noise_pred=True)
    assert set(marked) == usual | {"v-prediction-model"}
    assert marked["v-prediction-model"].level == "note"
    assert "zero-terminal SNR" in marked["v-prediction-model"].message


def test_what_ruins_a_training_stops_it_until_it_is_accepted(project, sdxl_folder):
    none_left = findings(project, sdxl_folder, min_timestep=600, max_timestep=500)["no-timesteps"]
    assert none_left.stops_training(accept_warnings=True)
    ignored = findings(project, sdxl_folder, VELOCITY, v_parameterization=False)["v-prediction-ignored"]
    assert ignored.stops_training()
    assert not ignored.stops_training(accept_warnings=True)
    assert "burnt" in ignored.message
