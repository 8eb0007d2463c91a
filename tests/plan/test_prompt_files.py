"""Files of sample prompts, as sd-scripts reads them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.plan.errors import UserError
from engine.plan.project import Project
from engine.plan.prompt_files import expanded
from engine.plan.sample_checks import check_samples
from engine.plan.sample_prompts import parse
from engine.plan.settings import resolve


def test_a_text_file_has_a_prompt_a_line_and_comments(tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("# mine\n\n  ohwx man --w 512  \n#off\na cat, n.5\n", "utf-8-sig")
    assert expanded(["first", "prompts.txt", "last"], tmp_path) == ("first", "ohwx man --w 512", "a cat, n.5", "last")


def test_a_toml_file_has_what_all_share_and_a_table_each(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text(
        "[prompt]\nwidth = 768\nscale = 5.5\nnegative_prompt = 'blurry'\n"
        "[[prompt.subset]]\nprompt = 'a\\n cat'\nseed = 3\n"
        "[[prompt.subset]]\nprompt = 'a dog'\nwidth = 512\nsample_steps = 7\nsample_sampler = 'k_euler_a'\n"
    )
    cat, dog = map(parse, expanded(["p.toml"], tmp_path))
    assert (cat.prompt, cat.negative, cat.width, cat.guidance, cat.seed) == ("a\\n cat", "blurry", 768, 5.5, 3)
    assert (dog.prompt, dog.width, dog.steps, dog.sampler, dog.guidance) == ("a dog", 512, 7, "euler_a", 5.5)


def test_a_json_file_has_lines_or_tables(tmp_path: Path) -> None:
    entries = ["a cat --s 3", {"prompt": "a\ndog", "height": 512, "seed": -1, "enum": 1}]
    (tmp_path / "P.JSON").write_text(json.dumps(entries))
    assert expanded([str(tmp_path / "P.JSON")], None) == ("a cat --s 3", "a dog --h 512 --d -1")


def test_a_prompt_that_only_ends_like_a_file_is_one_when_it_has_flags(tmp_path: Path) -> None:
    assert expanded(["a note --n readme.txt", "a sign that says hello.world"], tmp_path) == (
        "a note --n readme.txt",
        "a sign that says hello.world",
    )


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("missing.txt", None, "no-prompt-file"),
        ("\0.txt", None, "no-prompt-file"),
        ("empty.txt", b"# nothing\n", "bad-prompt-file"),
        ("latin.txt", b"caf\xe9", "bad-prompt-file"),
        ("large.txt", b"a" * 1_048_577, "bad-prompt-file"),
        ("many.txt", b"a\n" * 1001, "bad-prompt-file"),
        ("flag.txt", b"a\na --zoom 3", "bad-prompt-line"),
        ("broken.toml", b"[prompt", "bad-prompt-file"),
        ("plain.toml", b"prompt = 3", "bad-prompt-file"),
        ("single.toml", b"[prompt]\nprompt = 'a'", "bad-prompt-file"),
        ("broken.json", b"{", "bad-prompt-file"),
        ("table.json", b"{}", "bad-prompt-file"),
        ("number.json", b"[3]", "bad-prompt-file"),
        ("nested.json", b"[" * 100_000, "bad-prompt-file"),
        ("key.json", b'[{"prompt": "a", "widht": 3}]', "bad-prompt-file"),
        ("value.json", b'[{"prompt": ["a"]}]', "bad-prompt-file"),
        ("flux.json", b'[{"prompt": "a", "guidance_scale": 3.5}]', "bad-prompt-line"),
    ],
)
def test_what_cannot_be_read_is_one_sentence_that_names_the_file(
    tmp_path: Path, name: str, content: bytes | None, code: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError) as error:
        expanded([name], tmp_path)
    assert error.value.code == code
    assert name.strip("\0") in error.value.message
    assert "\n" not in str(error.value)


def test_the_checks_tell_of_a_file_and_look_into_it(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def found(**values: object) -> dict[str, str]:
        return {finding.code: finding.level for finding in check_samples(resolve(values), project, [project.trigger])}

    project.trigger = "ohwx"
    assert found() == {}
    assert found(sample_prompts=["prompts.txt"]) == {"no-prompt-file": "error"}
    (project.path / "prompts.txt").write_text("a man\n")
    assert found(sample_prompts=["prompts.txt"]) == {"sample-without-trigger": "warning"}
    (project.path / "prompts.txt").write_text("ohwx man\n")
    assert found(sample_prompts=["prompts.txt"]) == {}
    monkeypatch.setattr("engine.plan.samplers.find_spec", lambda name: None)
    assert found(sample_sampler="lms") == {"sampler-needs-package": "warning"}
    assert found(sample_prompts=["ohwx man --ss lms"]) == {"sampler-needs-package": "warning"}
