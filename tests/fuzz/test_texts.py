"""Texts from people and strangers: captions, prompt lines, weights and alternatives, settings, project.toml."""

from __future__ import annotations

import random
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.plan import project_file, sample_prompts
from engine.plan.caption_draws import CaptionRules, chosen
from engine.plan.captions import MAX_CAPTION_BYTES, CaptionsRead, read_caption, with_all_lines
from engine.plan.option_values import OF_ARGUMENTS, parse_arguments
from engine.plan.options import by_name
from engine.plan.project import Project
from engine.plan.settings import Settings, parse_text, resolve, sha256
from engine.plan.weighted_text import DEEPEST, ROUND, has_weights, weighted_parts
from engine.runs.job import Job
from tests.fuzz.nonsense import answer_of, tries

PIECES = st.sampled_from(
    [
        "ohwx, ",
        "\n",
        "\r",
        "\r\n",
        "\0",
        "\x1b[2J",
        "\u202e",
        "\ufeff",
        "\u2028",
        "é",
        "漢",
        "🦊",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "|",
        ":",
        "1.2",
        "\\",
        " --n ",
        " --w ",
        " --s",
        "9" * 400,
        "--",
        ",",
        "|||",
        "  ",
    ]
)
TEXTS = st.lists(PIECES | st.text(max_size=8), max_size=12).map("".join)
BYTES = st.lists(PIECES.map(str.encode) | st.binary(max_size=6), max_size=10).map(b"".join)


# ------------------------------------------------------------------------------------------------------------- captions
@given(BYTES, st.sampled_from(["", "ohwx man"]))
@tries(300)
def test_any_bytes_are_a_caption_or_are_refused_by_name(place: Path, content: bytes, words: str) -> None:
    (place / "a.txt").write_bytes(content)
    caption = answer_of(lambda: read_caption(place / "a.png", ".txt", words), place)
    again = answer_of(lambda: CaptionsRead()(place / "a.png", ".txt", words), place)
    assert caption == again
    if caption is not None:
        assert "\n" not in caption.text
        assert "\r" not in caption.text
        assert caption.text == caption.text.strip()
        assert len(with_all_lines(caption).lines) == len(caption.lines)
    else:
        with pytest.raises(UnicodeDecodeError):
            content.decode("utf-8")


# -------------------------------------------------------------------------------------------------------------- prompts
FLAGS = st.tuples(
    st.sampled_from(["w", "h", "d", "s", "l", "n", "W", "ss", "x", "\x1b"]), TEXTS | st.integers().map(str)
)


@given(TEXTS, st.lists(FLAGS, max_size=5))
@tries(300)
def test_any_line_is_a_prompt_or_is_refused(place: Path, text: str, flags: list[tuple[str, str]]) -> None:
    line = text + "".join(f" --{name} {value}" for name, value in flags)
    asked = answer_of(lambda: sample_prompts.parse(line), place)
    if asked is not None:
        assert 64 <= asked.width <= sample_prompts.MAX_SIDE
        assert asked.width % 8 == asked.height % 8 == 0
        assert 1 <= asked.steps <= sample_prompts.MAX_STEPS
        assert 0 <= asked.guidance <= sample_prompts.MAX_GUIDANCE
        assert 0 <= asked.seed < 2**63


@given(TEXTS)
@tries(200)
def test_any_text_has_weights(text: str) -> None:
    parts = weighted_parts(text)
    assert parts
    assert all(weight >= 0 for _, weight in parts if "-" not in text)
    assert has_weights(text) == (parts != [(text, 1.0)])


@given(TEXTS, st.integers(0, 2**63 - 1))
@tries(200)
def test_any_caption_can_be_chosen_from(caption: str, seed: int) -> None:
    rules = CaptionRules(
        seed, enable_wildcard=True, shuffle_caption=True, caption_tag_dropout_rate=0.5, keep_tokens_separator="|||"
    )
    assert rules.drawn(caption, epoch=1, step=1, position=0) == rules.drawn(caption, epoch=1, step=1, position=0)


@pytest.mark.parametrize("caption", ["(a" * 50_000, "(" * 50_000 + "a" + ")" * 50_000])
def test_a_caption_of_nothing_but_brackets_is_weighed_at_once(caption: str) -> None:
    parts = weighted_parts(caption)  # took hours for the longest file that counts as a caption
    assert max(weight for _, weight in parts) == pytest.approx(ROUND**DEEPEST)
    assert sum(text.count("(") for text, _ in parts) == caption.count("(") - DEEPEST


@pytest.mark.parametrize("caption", ["{a" * 500_000, "{a|" * 300_000 + "}", "{{{a" * 200_000, "{}" * 500_000])
def test_a_caption_as_long_as_captions_may_be_is_chosen_from_at_once(caption: str) -> None:
    assert len(caption) <= MAX_CAPTION_BYTES
    assert chosen(caption, random.Random(1))


# ------------------------------------------------------------------------------------------------------------- settings
HUGE = "0x" + "f" * 5000  # TOML has no limit to a number in hexadecimals, and Python refuses to write this one out
VALUES = st.sampled_from(
    [
        "1",
        "-1",
        "0.5",
        "inf",
        "nan",
        "true",
        '""',
        '"a"',
        "[]",
        '["a=1"]',
        "[1, [2]]",
        "{}",
        "{ a = 1 }",
        "1979-05-27",
        "1979-05-27T07:32:00Z",
        "07:32:00",
        "9" * 5000,
        HUGE,
        "1e999",
        "'''\n'''",
        '"\\u202e\\u001b[2J"',
        "[" * 3000,
        '"1024,1024"',
    ]
)
KEYS = st.sampled_from(["name", "trigger", "class", "preset", "left_out", "num_repeats", "max_train_steps", "lr"]) | (
    st.sampled_from(sorted(by_name()))
)
LINES = (
    st.sampled_from(
        [
            "[project]",
            "[settings]",
            "[folders]",
            '[folders."25_x y"]',
            "[pictures]",
            "[[settings]]",
            "[a.b]",
            "# é",
            "=",
            "",
        ]
    )
    | st.builds("{} = {}".format, KEYS, VALUES)
    | st.text(max_size=12)
)
WHOLE = (
    "# mine\n[project]\nname = 'zibo'\ntrigger = 'ohwx'\nclass = 'man'\n\n[settings]\ntrain_batch_size = 2 # fits\n"
    "optimizer_args = ['weight_decay=0.01', 'd0=1e-4']\nresolution = '1024,1024'\n[folders.'25_x y']\nnum_repeats = 3\n"
    "[pictures]\nleft_out = ['img/25_x y/é.png']\n"
).encode()


@st.composite
def project_files(draw: st.DrawFn) -> bytes:
    """More or less a project.toml."""
    if draw(st.booleans()):
        return "\n".join(draw(st.lists(LINES, max_size=8))).encode()
    at = draw(st.integers(0, len(WHOLE)))
    return WHOLE[:at] + draw(st.binary(max_size=3) | VALUES.map(str.encode)) + WHOLE[at + draw(st.integers(0, 20)) :]


@given(project_files())
@tries(200)
def test_any_project_file_is_read_or_refused(place: Path, content: bytes) -> None:
    root = place / "project"
    (root / "img" / "25_x y").mkdir(parents=True, exist_ok=True)
    path = root / "project.toml"
    path.write_bytes(content)

    def settings() -> Settings:
        return Project.open(root).resolved()

    found = answer_of(settings, place)
    if found is not None:
        sha256(found)
        tomllib.loads(content.decode("utf-8-sig"))
    if (contents := answer_of(lambda: project_file.read(path), place)) is not None:
        contents.settings = {"train_batch_size": 3}
        path.with_name("copy.toml").write_bytes(content)
        answer_of(lambda: project_file.write(path.with_name("copy.toml"), contents), root / "img")


@given(KEYS, VALUES | TEXTS)
@tries(200)
def test_any_text_is_a_value_of_an_option_or_is_refused(place: Path, name: str, text: str) -> None:
    value = answer_of(lambda: parse_text(name, text), place) if name in by_name() else text
    found = answer_of(lambda: resolve({name: text}), place)
    if value is not None and name in by_name():
        answer_of(lambda: resolve({name: value}), place)
    if found is not None:
        sha256(found)


@given(TEXTS.map(lambda text: f"a={text}") | VALUES.map("a={}".format))
@tries(200)
def test_any_argument_is_read_or_refused(place: Path, text: str) -> None:
    for option in OF_ARGUMENTS:
        answer_of(lambda option=option: parse_arguments(option, (text,)), place)  # type: ignore[misc]


@given(project_files() | BYTES)
@tries(200)
def test_any_job_file_is_read_or_refused(place: Path, content: bytes) -> None:
    (place / "job.toml").write_bytes(content.replace(b"[project]", b"kind = 'train'"))
    answer_of(lambda: Job.read(place / "job.toml"), place)
