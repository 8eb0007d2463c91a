"""Checks of the options of captions."""

from __future__ import annotations

import pytest

from engine.plan.caption_checks import check_captions
from engine.plan.dataset import scan
from engine.plan.errors import Finding, UserError
from engine.plan.project import Project
from engine.plan.settings import parse_text, resolve


def found(**values: object) -> dict[str, Finding]:
    return {finding.code: finding for finding in check_captions(resolve(values))}


def test_the_guides_own_captions_are_not_criticised():
    assert found() == {}


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"caption_dropout_rate": 0.6}, "caption-dropout-high"),
        ({"caption_dropout_every_n_epochs": 1}, "caption-dropout-every-epoch"),
        ({"caption_tag_dropout_rate": 0.6, "cache_text_encoder_outputs": False}, "tag-dropout-high"),
        ({"keep_tokens": 1}, "nothing-to-keep"),
        ({"keep_tokens_separator": "|||"}, "nothing-to-keep"),
    ],
)
def test_what_will_disappoint_is_said_with_what_mends_it(values, code):
    finding = found(**values)[code]
    assert set(found(**values)) == {code}
    assert finding.option is not None
    assert code not in found(**(values | {finding.option: finding.value}))


@pytest.mark.parametrize(
    "values", [{"shuffle_caption": True}, {"caption_tag_dropout_rate": 0.1}, {"enable_wildcard": True}]
)
def test_captions_that_change_cannot_be_encoded_once(values):
    finding = found(**values)["text-cache-with-shuffle"]
    assert next(iter(values)) in finding.message
    assert "cache_text_encoder_outputs = false" in finding.hint
    assert finding.stops_training(accept_warnings=True)
    assert found(**values, cache_text_encoder_outputs=False) == {}


@pytest.mark.parametrize("values", [{"shuffle_caption": True}, {"caption_tag_dropout_rate": 0.1}])
def test_weights_do_not_go_with_tags_that_are_cut_apart(values):
    values |= {"cache_text_encoder_outputs": False, "weighted_captions": True}
    finding = found(**values)["weights-with-shuffle"]
    assert finding.stops_training(accept_warnings=True)
    assert found(**(values | {"weighted_captions": False})) == {}
    assert found(weighted_captions=True) == {}


@pytest.mark.parametrize("length", [76, 100, 224])
def test_captions_are_whole_chunks_long(length):
    with pytest.raises(UserError, match="75, 150 or 225"):
        resolve({"max_token_length": length})


def test_an_empty_separator_is_refused():
    with pytest.raises(UserError, match="caption_separator must not be empty"):
        resolve({"caption_separator": ""})
    assert parse_text("caption_separator", '" "') == " "


# ----------------------------------------------------------------------------------------------- captions of many lines
def caption(project: Project, text: str, **values: object):
    (project.image_dir / "10_ohwx man" / "000.txt").write_text(text, encoding="utf-8")
    resolved = project.resolved(values)
    return scan(project, resolved).pictures[0]


def test_with_alternatives_all_lines_that_are_not_empty_are_there_to_choose_from(project):
    picture = caption(project, "\n ohwx on a beach \n\nohwx at sea\r\n", enable_wildcard=True)
    assert picture.words == "ohwx on a beach\nohwx at sea"
    assert picture.caption == "ohwx on a beach"
    assert picture.problems == ()


def test_without_them_only_the_first_line_counts_and_that_is_said(project):
    picture = caption(project, "ohwx on a beach\nohwx at sea")
    assert picture.words == picture.caption == "ohwx on a beach"
    assert [problem.code for problem in picture.problems] == ["caption-lines"]


def test_the_trigger_may_stand_in_the_prefix(project):
    from engine.plan.dataset_checks import check_dataset

    for file in (project.image_dir / "10_ohwx man").glob("*.txt"):
        file.write_text("a man", encoding="utf-8")

    def codes(**values: object) -> set[str]:
        resolved = project.resolved(values)
        return {finding.code for finding in check_dataset(resolved, scan(project, resolved), project)}

    assert "caption-without-trigger" in codes()
    assert "caption-without-trigger" not in codes(caption_prefix=f"{project.trigger},")
