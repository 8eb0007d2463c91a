"""Checks say what will disappoint, why, and the line that mends it."""

from __future__ import annotations

import shlex
import tomllib

import pytest

from engine.plan.checks import check_settings
from engine.plan.dataset import scan
from engine.plan.errors import Finding
from engine.plan.project import Project
from engine.plan.settings import parse_text

# Everything that the fixture's three pictures of 64 × 64 are told anyway, and the base model that is not there.
USUAL = {"few-pictures", "few-steps", "no-regularisation", "small-pictures", "no-base-model"}


def findings(project: Project, **settings: object) -> dict[str, Finding]:
    resolved = project.resolved(settings)
    found = check_settings(resolved, scan(project, resolved), project)
    return {finding.code: finding for finding in found if finding.code not in USUAL}


def test_the_default_settings_are_not_criticised(project):
    assert findings(project) == {}


def test_prodigy_with_the_guides_learning_rate_stops_training_with_the_line_that_mends_it(project):
    finding = findings(project, learning_rate=0.0003)["prodigy-learning-rate"]
    assert finding.level == "warning"
    assert "learning_rate = 1.0" in finding.hint
    assert (finding.option, finding.value) == ("learning_rate", 1.0)
    assert finding.stops_training()
    assert not finding.stops_training(accept_warnings=True)


@pytest.mark.parametrize(("rate", "said"), [(0.0001, True), (0.0999, True), (0.1, False), (1.0, False), (2.0, False)])
def test_prodigys_learning_rate_is_flagged_below_a_tenth(project, rate, said):
    assert ("prodigy-learning-rate" in findings(project, learning_rate=rate)) == said


@pytest.mark.parametrize(("rate", "said", "stops"), [(1e-4, False, False), (0.02, True, False), (1.0, True, True)])
def test_adamw_with_prodigys_learning_rate_stops_training(project, rate, said, stops):
    finding = findings(project, optimizer_type="AdamW", learning_rate=rate).get("adamw-learning-rate")
    assert (finding is not None) == said
    assert (finding is not None and finding.stops_training()) == stops


def test_arguments_of_another_optimizer_are_an_error_that_cannot_be_accepted(project):
    finding = findings(
        project, optimizer_type="AdamW", learning_rate=1e-4, optimizer_args=["d0=1e-4", "weight_decay=0.1"]
    )["optimizer-args-unknown"]
    assert finding.value == ["weight_decay=0.1"]
    assert "d0" in finding.message
    assert finding.stops_training(accept_warnings=True)


@pytest.mark.parametrize(
    ("settings", "code", "mended"),
    [
        ({"network_alpha": 200}, "alpha-above-dim", 48.0),
        ({"network_alpha": 0.5}, "alpha-tiny", 48.0),
        ({"noise_offset": 0.5}, "noise-offset-high", 0.1),
        ({"caption_dropout_rate": 0.9}, "caption-dropout-high", 0.1),
        ({"min_snr_gamma": 0.5}, "min-snr-gamma-low", 5.0),
        ({"learning_rate": 5}, "prodigy-learning-rate-high", 1.0),
        ({"bucket_no_upscale": False, "min_bucket_reso": 2000}, "bucket-limits", 1024),
        ({"bucket_no_upscale": False, "max_bucket_reso": 512}, "bucket-limits", 1024),
        ({"min_bucket_reso": 1000, "max_bucket_reso": 500}, "bucket-limits", 256),
        ({"bucket_no_upscale": False, "min_bucket_reso": 300, "max_bucket_reso": 200}, "bucket-limits", 200),
        ({"save_every_n_epochs": 9}, "saved-at-the-end-only", None),
        ({"sample_prompts": ["a man"]}, "sample-without-trigger", None),
        ({"pretrained_model_name_or_path": "/nowhere.safetensors"}, "not-found", None),
    ],
)
def test_odd_settings_are_named_with_the_value_that_mends_them(project, settings, code, mended):
    assert findings(project, **settings)[code].value == mended


@pytest.mark.parametrize(
    ("settings", "mended"),
    [
        ({"resolution": 1000, "enable_bucket": False}, "992,992"),
        ({"resolution": "1024,700", "enable_bucket": False}, "1024,704"),
    ],
)
def test_without_buckets_the_resolution_must_fit_the_model(project, sdxl_folder, settings, mended):
    found = findings(project, pretrained_model_name_or_path=str(sdxl_folder), **settings)
    assert found["resolution-step"].value == mended


def test_the_bucket_step_must_fit_the_model(project, sdxl_folder):
    found = findings(project, pretrained_model_name_or_path=str(sdxl_folder), bucket_reso_steps=40)
    assert found["bucket-step"].value == 64
    assert found["bucket-step"].stops_training(accept_warnings=True)


def test_a_resolution_far_from_the_models_is_flagged(project, sdxl_folder):
    assert "resolution-low" in findings(project, pretrained_model_name_or_path=str(sdxl_folder), resolution=512)


def test_a_project_without_a_base_model_is_told_so(project):
    resolved = project.resolved()
    finding = next(f for f in check_settings(resolved, None, project) if f.code == "no-base-model")
    assert finding.level == "error"
    assert finding.option == "pretrained_model_name_or_path"


def test_captions_without_the_trigger_word_are_named(project):
    (project.image_dir / "10_ohwx man" / "001.txt").write_text("a man on a beach", encoding="utf-8")
    finding = findings(project)["caption-without-trigger"]
    assert "1 of 3 captions does not" in finding.message
    assert "001.png" in finding.message


def test_a_project_without_a_trigger_word_is_told_so(project):
    project.trigger = ""
    assert "no-trigger" in findings(project)


def test_pictures_much_smaller_than_the_resolution_are_named(project):
    resolved = project.resolved()
    found = {f.code: f for f in check_settings(resolved, scan(project, resolved), project)}
    assert "64×64" in found["small-pictures"].message
    small = project.resolved({"resolution": 64})
    assert "small-pictures" not in {f.code for f in check_settings(small, scan(project, small), project)}


def test_regularisation_pictures_are_judged_by_number_class_and_caption(project, pictures_in):
    pictures_in(project.path / "reg" / "1_woman", [(64, 64)] * 2, caption="ohwx, a woman")
    found = findings(project)
    assert {"reg-often", "reg-other-class", "reg-caption-with-trigger"} <= set(found)


def test_a_regularisation_folder_may_name_the_class_of_any_subject(project, pictures_in):
    pictures_in(project.image_dir / "5_rexo dog", [(64, 64)], caption="rexo, a dog")
    pictures_in(project.path / "reg" / "1_dog", [(64, 64)] * 8)
    assert "reg-other-class" not in findings(project)
    pictures_in(project.path / "reg" / "1_house", [(64, 64)])
    told = findings(project)["reg-other-class"].message
    assert told.startswith("The regularisation folder 1_house does not name a class of the project, ")
    assert told.endswith(' or "dog".')


def test_a_class_whose_pictures_are_crowded_out_is_a_warning(project, pictures_in):
    pictures_in(project.image_dir / "1_rexo dog", [(64, 64)], caption="rexo, a dog")
    pictures_in(project.path / "reg" / "1_dog", [(64, 64)] * 400)
    pictures_in(project.path / "reg" / "1_man", [(64, 64)] * 3)
    found = findings(project)
    assert "reg-unused" not in found
    assert "never in place of" in found["reg-uneven"].message


def test_the_trigger_of_each_subject_counts_in_samples_and_in_regularisation(project, pictures_in):
    pictures_in(project.image_dir / "5_rexo dog", [(64, 64)], caption="rexo, a dog")
    assert "sample-without-trigger" not in findings(project, sample_prompts=["rexo, a dog on a sofa"])
    told = findings(project, sample_prompts=["a dog"])["sample-without-trigger"].message
    assert 'a trigger word, "ohwx" or "rexo", so samples' in told
    pictures_in(project.path / "reg" / "1_dog", [(64, 64)] * 2, caption="rexo, a dog")
    told = findings(project)["reg-caption-with-trigger"]
    assert "2 regularisation pictures have the trigger word in the caption" in told.message
    assert 'what is not "rexo"' in told.hint


def test_many_sizes_with_few_pictures_each_are_named(tmp_path, pictures_in):
    pictures_in(tmp_path / "img" / "1_x cat", [(64, 64 + 32 * n) for n in range(6)], caption="x, a cat")
    assert "short-batches" in findings(Project.open(tmp_path), train_batch_size=4)


@pytest.mark.parametrize(
    "settings",
    [
        {"learning_rate": 0.0003},
        {"optimizer_type": "AdamW", "learning_rate": 1e-4, "optimizer_args": ["d0=1e-4", "eps=1e-8", "foreach=True"]},
        {"optimizer_type": "AdamW", "learning_rate": 1e-4, "optimizer_args": ["d0=1e-4", "betas=(0.9, 0.99)"]},
        {"optimizer_type": "AdamW", "learning_rate": 1e-4, "optimizer_args": ["d0=1e-4"]},
        {"enable_bucket": False, "resolution": "1021,1024"},
    ],
)
def test_the_line_that_mends_can_be_pasted_into_a_shell_and_into_the_file(project, settings):
    [finding] = [finding for finding in findings(project, **settings).values() if finding.option]
    name, _, text = shlex.split(finding.hint.partition("--set ")[2])[-1].partition("=")
    wanted = tuple(finding.value) if isinstance(finding.value, list) else finding.value
    assert (name, parse_text(name, text)) == (finding.option, wanted)
    line = finding.hint.removeprefix("Set ").partition(" in project.toml")[0]
    assert tomllib.loads(line) == {finding.option: finding.value}
