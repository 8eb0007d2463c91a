"""Settings are declared once, layered, and refused in plain sentences."""

from __future__ import annotations

import pytest

from engine.plan.errors import UserError
from engine.plan.optimizers import ADAFACTOR_ARGS, PRODIGY_ARGS
from engine.plan.option_values import parse_arguments, parse_resolution
from engine.plan.settings import Settings, options, parse_text, resolve, resolve_named, sha256, to_dict


def refusal(**values: object) -> UserError:
    with pytest.raises(UserError) as caught:
        resolve(values)
    return caught.value


def test_the_defaults_are_the_guides_with_a_learning_rate_that_learns():
    settings = resolve()
    assert (settings.train_batch_size, settings.max_train_epochs) == (2, 4)
    assert (settings.network_dim, settings.network_alpha) == (96, 48.0)
    assert settings.learning_rate == 1.0
    assert settings.size == (1024, 1024)
    assert settings.optimizer_kwargs == {
        "weight_decay": 0.01,
        "decouple": True,
        "d0": 0.0001,
        "use_bias_correction": True,
    }


def test_every_option_has_words_for_a_newcomer():
    assert [option.name for option in options()] == list(Settings.model_fields)
    for option in options():
        assert option.title
        assert option.group
        assert option.help.endswith(".")
        assert option.usual
        assert option.guide


def test_every_default_lies_within_its_own_limits():
    assert resolve({option.name: option.default for option in options()}) == resolve()


def test_later_layers_win():
    assert resolve({"seed": 1, "network_dim": 8}, {"seed": 2}).seed == 2


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("learnin_rate", "learning_rate"),
        ("epoch", "max_train_epochs"),
        ("rank", "network_dim"),
        ("lr", "learning_rate"),
        ("Train-Batch-Size", "train_batch_size"),
    ],
)
def test_an_unknown_option_names_the_nearest_known_one(name, near):
    error = refusal(**{name: 1})
    assert error.code == "unknown-option"
    assert near in error.hint


def test_max_train_steps_is_refused_in_favour_of_epochs():
    error = refusal(max_train_steps=1600)
    assert error.code == "unknown-option"
    assert "max_train_epochs" in error.hint


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("network_dim", 0, "network_dim must be a whole number from 1 to 1024, not 0."),
        ("network_dim", "many", 'network_dim must be a whole number from 1 to 1024, not "many".'),
        ("network_dim", 8.5, "network_dim must be a whole number from 1 to 1024, not 8.5."),
        ("seed", True, "seed must be a whole number from 0 to 4294967295, not True."),
        ("learning_rate", float("nan"), "learning_rate must be a number from 0 to 100, not nan."),
        ("learning_rate", float("inf"), "learning_rate must be a number from 0 to 100, not inf."),
        ("mixed_precision", "bf17", 'mixed_precision must be no, fp16 or bf16, not "bf17".'),
        ("enable_bucket", 3, "enable_bucket must be true or false, not 3."),
        ("sample_prompts", [1], "sample_prompts must be a list of texts, not [1]."),
        (
            "optimizer_type",
            "Adam W",
            "optimizer_type must be Prodigy, AdamW, AdamW8bit, Adafactor, Lion or a class as module.Class, "
            'not "Adam W".',
        ),
        ("optimizer_type", 3, None),
        ("lr_warmup_steps", 1.5, "lr_warmup_steps must be a number from 0 to 10000000, whole from 1 on, not 1.5."),
        ("lr_warmup_steps", -1, None),
        ("lr_warmup_steps", True, None),
        ("lr_scheduler", "REX", None),
        (
            "resolution",
            "big",
            'resolution must be a width and a height from 16 to 8192 such as "1024,1024", not "big".',
        ),
        ("output_name", "../x", 'output_name must be a plain file name without folders, not "../x".'),
        ("caption_extension", "/etc", 'caption_extension must be a file ending such as ".txt", not "/etc".'),
    ],
)
def test_a_bad_value_is_refused_in_one_sentence(name, value, message):
    error = refusal(**{name: value})
    assert (error.code, error.message) == ("bad-value", message or error.message)
    assert error.message.startswith(f"{name} must be ")


@pytest.mark.parametrize("argument", ["d0", "d0=abc", "d0=1,", "=1", "a b=1", "d0=__import__('os')"])
def test_an_optimizer_argument_that_cannot_be_read_is_named(argument):
    with pytest.raises(UserError) as caught:
        parse_arguments("optimizer_args", (argument,))
    assert argument in caught.value.message


def test_errors_name_the_place_they_come_from():
    with pytest.raises(UserError, match=r"^project\.toml: network_dim must be"):
        resolve_named([("preset x", {"network_dim": 8}), ("project.toml", {"network_dim": -1})])


def test_optimizer_arguments_are_a_list_or_one_text():
    arguments = ("d0=1e-5", "decouple=True")
    assert resolve({"optimizer_args": "d0=1e-5 decouple=True"}).optimizer_args == arguments
    assert resolve({"optimizer_args": ["d0=1e-5", "decouple=True"]}).optimizer_args == arguments


def test_prodigys_arguments_do_not_carry_over_to_another_optimizer():
    assert resolve({"optimizer_type": "AdamW"}).optimizer_args == ()
    assert resolve({"optimizer_args": PRODIGY_ARGS}, {"optimizer_type": "AdamW"}).optimizer_args == ()
    assert resolve({"optimizer_type": "AdamW"}, {"optimizer_type": "Prodigy"}).optimizer_args == PRODIGY_ARGS
    assert resolve({"optimizer_type": "adafactor"}).optimizer_args == ADAFACTOR_ARGS
    assert resolve({"optimizer_type": "Lion"}, {"optimizer_type": "torch.optim.RAdam"}).optimizer_args == ()
    assert resolve({"optimizer_type": "AdamW", "optimizer_args": ["eps=1e-6"]}).optimizer_args == ("eps=1e-6",)


@pytest.mark.parametrize("value", [512, "512", "512,512", "512x512", [512, 512], " 512 , 512 ", 512.0])
def test_a_resolution_may_be_written_in_many_ways(value):
    assert resolve({"resolution": value}).size == (512, 512)


@pytest.mark.parametrize("value", ["", "1024,", "1,2,3", 15, 9000, None, True, "١٠٢٤", [512, "x"], {}])
def test_a_resolution_that_is_none_is_refused(value):
    with pytest.raises(UserError):
        parse_resolution(value)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("enable_bucket", "True", True),
        ("enable_bucket", "false", False),
        ("learning_rate", "1e-4", 1e-4),
        ("network_dim", "16", 16),
        ("resolution", "1024,768", "1024,768"),
        ("optimizer_type", "adamw", "AdamW"),
        ("optimizer_type", "torch.optim.RAdam", "torch.optim.RAdam"),
        ("lr_warmup_steps", "100", 100),
        ("lr_warmup_steps", "0.1", 0.1),
        ("lr_scheduler_args", 'step_rules="1:10,0.1"', ('step_rules="1:10,0.1"',)),
        ("optimizer_args", "d0=1e-5 decouple=True", ("d0=1e-5", "decouple=True")),
        ("optimizer_args", '["d0=1e-5"]', ("d0=1e-5",)),
        ("sample_prompts", "ohwx man --w 512", ("ohwx man --w 512",)),
        ("output_name", '"face"', "face"),
    ],
)
def test_text_from_the_command_line_is_toml_or_sd_scripts_text(name, text, value):
    assert parse_text(name, text) == value
    assert getattr(resolve({name: value}), name) == value


@pytest.mark.parametrize(
    ("given", "kept", "of_300"),
    [(0, 0, 0), (0.0, 0, 0), (1, 1, 1), (12.0, 12, 12), (0.1, 0.1, 30), (0.999, 0.999, 299)],
)
def test_a_warm_up_is_steps_or_a_share_of_all_of_them(given, kept, of_300):
    settings = resolve({"lr_warmup_steps": given})
    assert (settings.lr_warmup_steps, type(settings.lr_warmup_steps)) == (kept, type(kept))
    assert settings.warmup_steps(300) == of_300


def test_comment_lines_among_prompts_are_passed_over():
    assert resolve({"sample_prompts": "# mine\nohwx man\n\n"}).sample_prompts == ("ohwx man",)


def test_the_fingerprint_depends_on_values_and_not_on_how_they_were_written():
    assert sha256(resolve({"resolution": "1024"})) == sha256(resolve({"network_dim": "96"})) == sha256(resolve())
    assert sha256(resolve({"seed": 1})) != sha256(resolve())


def test_plain_values_read_back_as_the_same_settings():
    settings = resolve({"sample_prompts": ["a", "b"], "seed": 7})
    assert resolve(to_dict(settings)) == settings


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("ohwx --w ten", "--w ten is not a usable value"),
        ("ohwx --x 3", "--x is not known"),
        ("ohwx --s", "--s"),
    ],
)
def test_a_prompt_line_that_cannot_be_drawn_is_refused_as_it_is_typed(line: str, words: str):
    with pytest.raises(UserError, match="In the sample prompt") as refused:
        resolve({"sample_prompts": ["ohwx, a photo of a man --w 512", line]})
    assert words in str(refused.value)


def test_titles_fit_into_the_rows_of_a_form():
    from engine.plan.options import options

    assert [option.title for option in options() if len(option.title) > 27] == []
