"""`lora-tui` with options and no command is the app."""

from __future__ import annotations

import pytest

from lora_tui.cli import with_command

DIR = "/"


@pytest.mark.parametrize(
    "given",
    [
        ["--theme", "light"],
        ["--theme=light"],
        ["--ascii"],
        ["--plain"],
        ["--theme", "light", DIR],
        ["--plain", DIR],
        [DIR],
    ],
    ids=" ".join,
)
def test_options_and_a_folder_mean_the_app(given: list[str]) -> None:
    assert with_command(given) == ["open", *given]


@pytest.mark.parametrize(
    "given", [["--help"], ["-h"], ["--version"], ["check", "--help"], ["check", DIR], ["nonsense"]]
)
def test_the_rest_stays_what_it_is(given: list[str]) -> None:
    assert with_command(given) == given


@pytest.mark.parametrize(("terminal", "meant"), [(True, ["open"]), (False, [])])
def test_nothing_means_the_app_where_there_is_a_terminal(
    terminal: bool, meant: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for stream in ("stdin", "stdout"):
        monkeypatch.setattr(f"sys.{stream}", type("Stream", (), {"isatty": lambda self: terminal})())
    assert with_command([]) == meant
