"""What is said about how the base model is kept and calculated."""

from __future__ import annotations

import pytest

import engine.plan.packages as packages_module
from engine.plan.errors import Finding, UserError
from engine.plan.model_checks import check_model_options
from engine.plan.settings import resolve


def found(**values: object) -> list[Finding]:
    return list(check_model_options(resolve(values)))


@pytest.mark.parametrize(
    ("option", "value", "package", "instead"),
    [("base_weights", "nf4", "bitsandbytes", "fp8"), ("attention", "xformers", "xformers", "sdpa")],
)
def test_a_package_that_is_missing_is_named_and_what_does_without_it(
    monkeypatch: pytest.MonkeyPatch, option: str, value: str, package: str, instead: str
) -> None:
    monkeypatch.setattr(packages_module, "find_spec", lambda name: None if name == package else name)
    (finding,) = found(**{option: value})
    assert finding.message == f"{option} {value} needs the package {package}, which is not installed."
    assert f'{option} = "{instead}"' in finding.hint
    assert (finding.option, finding.value) == (option, instead)
    assert finding.stops_training(accept_warnings=True)
    monkeypatch.setattr(packages_module, "find_spec", lambda name: name)
    assert not found(**{option: value})


def test_fp8_and_the_usual_need_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages_module, "find_spec", lambda name: None)
    assert not found()
    assert not found(base_weights="fp8")


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("fp8_base", "base_weights"),
        ("fp8_base_unet", "base_weights"),
        ("xformers", "attention"),
        ("sdpa", "attention"),
        ("mem_eff_attn", "attention"),
    ],
)
def test_sd_scripts_switches_lead_to_our_options(theirs: str, ours: str) -> None:
    with pytest.raises(UserError) as refused:
        resolve({theirs: True})
    assert refused.value.code == "unknown-option"
    assert ours in refused.value.hint
