"""Samplers by the names that people know."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from engine.plan.errors import UserError
from engine.plan.samplers import find, names, require
from engine.plan.settings import parse_text, resolve

OF_SD_SCRIPTS = (
    *("ddim", "pndm", "lms", "euler", "euler_a", "heun", "dpm_2", "dpm_2_a", "dpmsolver", "dpmsolver++", "dpmsingle"),
    *("k_lms", "k_euler", "k_euler_a", "k_dpm_2", "k_dpm_2_a"),
)


@pytest.mark.parametrize("name", OF_SD_SCRIPTS)
def test_every_name_of_sd_scripts_is_known(name: str) -> None:
    assert find(name).name == name.removeprefix("k_")


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("Euler a", "euler_a"),
        ("Euler", "euler"),
        ("LMS", "lms"),
        ("Heun", "heun"),
        ("DPM2", "dpm_2"),
        ("DPM2 a", "dpm_2_a"),
        ("DPM++ 2M", "dpmsolver++"),
        ("DPM++ 2M Karras", "DPM++ 2M Karras"),
        ("dpm++ 2m sde karras", "DPM++ 2M SDE Karras"),
        ("DPM++ SDE", "DPM++ SDE"),
        ("DPM2 a Karras", "DPM2 a Karras"),
        ("DDIM", "ddim"),
        ("PLMS", "pndm"),
        ("UniPC", "UniPC"),
        ("euler_ancestral", "euler_a"),  # ComfyUI's
        ("dpm_2_ancestral", "dpm_2_a"),
        ("dpmpp_2m", "dpmsolver++"),
        ("dpmpp_2m_sde", "DPM++ 2M SDE"),
        ("uni_pc", "UniPC"),
        ("  EULER-A ", "euler_a"),
    ],
)
def test_names_of_other_programs_in_any_case_and_spacing(asked: str, name: str) -> None:
    assert find(asked).name == name


def test_no_two_samplers_share_a_name() -> None:
    assert len(set(names())) == len(names())
    assert [find(name).name for name in names()] == list(names())
    assert {sampler.name for sampler in map(find, names()) if sampler.calls == 2} == {
        "heun", "dpm_2", "dpm_2_a", "DPM2 Karras", "DPM2 a Karras"
    }  # fmt: skip


def test_the_manual_names_them_all() -> None:
    manual = (Path(__file__).parents[2] / "docs" / "samples.md").read_text(encoding="utf-8")
    table = manual[manual.index("| name | also |") :]
    written = re.findall(
        r"`([^`]+)`", "".join(line.split("|")[1] for line in table.splitlines() if line.count("|") > 3)
    )
    assert sorted(written) == sorted(names())
    assert all(
        find(name)
        for line in table.splitlines()
        if line.count("|") > 3
        for name in re.findall("`([^`]+)`", line.split("|")[2])
    )


def test_an_unknown_one_is_named_with_what_comes_near() -> None:
    with pytest.raises(UserError, match='There is no sampler "euler_b"') as error:
        find("euler_b")
    assert "euler_a" in error.value.hint
    with pytest.raises(UserError, match="Known are euler, euler_a, ddim"):
        find("\x1b[31m?")


def test_one_whose_package_is_missing_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.plan.samplers.find_spec", lambda name: None)
    with pytest.raises(UserError, match="lms needs the package scipy") as error:
        require(find("LMS"))
    assert "euler" in error.value.hint
    require(find("euler"))
    monkeypatch.setattr("engine.plan.samplers.find_spec", lambda name: object())
    require(find("LMS"))


@pytest.mark.parametrize("text", ["Euler a", "euler_a", "EULER_A", '"euler a"', "k_euler_a"])
def test_the_option_takes_every_name_and_keeps_one(text: str) -> None:
    assert resolve({"sample_sampler": parse_text("sample_sampler", text)}).sample_sampler == "euler_a"


def test_the_option_refuses_what_is_no_sampler() -> None:
    with pytest.raises(UserError, match='sample_sampler: There is no sampler "eulerr"') as error:
        resolve({"sample_sampler": "eulerr"})
    assert error.value.code == "bad-value"
    assert "euler" in error.value.hint
