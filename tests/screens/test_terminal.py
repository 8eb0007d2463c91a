"""What is found out about a terminal from its environment and from tmux, and what people are told to do about it."""

from __future__ import annotations

import pytest

from lora_tui.terminal import Remark, Terminal, Tmux, examine, prepare, remarks

GOOD_TMUX = Tmux("3.4", client_utf8=True, set_clipboard="on", allow_passthrough="on")


def look(tmux: Tmux = GOOD_TMUX, **environ: str) -> Terminal:
    return examine({"TERM": "xterm-256color", "LANG": "en_GB.UTF-8", **environ}, lambda: tmux, interactive=True)


def remark(terminal: Terminal, what: str) -> Remark:
    return next(found for found in remarks(terminal) if found.what == what)


@pytest.mark.parametrize(
    ("environ", "utf8", "known"),
    [
        ({"LANG": "en_GB.UTF-8"}, True, True),
        ({"LANG": "de_DE.utf8"}, True, True),
        ({"LANG": "C"}, False, True),
        ({"LANG": "en_US.ISO-8859-1"}, False, True),
        ({"LANG": "C", "LC_ALL": "C.UTF-8"}, True, True),
        ({"LANG": "en_GB.UTF-8", "LC_ALL": "C"}, False, True),
        ({"LANG": ""}, True, False),
        ({"LANG": "", "LC_CTYPE": "C.UTF-8"}, True, False),  # which Python itself has put there
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, False, True),
        ({"LANG": "C", "LC_CTYPE": "en_GB.UTF-8"}, True, True),
    ],
)
def test_letters_follow_the_locale(environ, utf8, known):
    found = look(**environ)
    assert (found.utf8, found.utf8_known) == (utf8, known)


@pytest.mark.parametrize("client", [True, False])
def test_tmux_knows_better_than_the_locale(client):
    for language in ("en_GB.UTF-8", "C", ""):
        assert look(Tmux("3.4", client), TMUX="x", LANG=language).utf8 is client


def test_tmux_that_does_not_answer_leaves_it_to_the_locale():
    assert look(Tmux(), TMUX="x").utf8
    assert not look(Tmux(), TMUX="x", LANG="C").utf8


@pytest.mark.parametrize(
    ("environ", "colours"),
    [
        ({"COLORTERM": "truecolor"}, "true"),
        ({"COLORTERM": "24bit", "TERM": "xterm"}, "true"),
        ({"TERM": "xterm-kitty"}, "true"),
        ({"TERM": "alacritty"}, "true"),
        ({"TERM": "xterm-256color"}, "256"),
        ({"TERM": "xterm"}, "16"),
        ({"TERM": "linux"}, "16"),
        ({"TERM": "dumb"}, "none"),
        ({"TERM": ""}, "none"),
        ({"COLORTERM": "truecolor", "NO_COLOR": "1"}, "true"),  # it can show them; whether any are drawn is the theme's
        ({"TERM": "screen-256color", "TMUX": "x"}, "true"),
    ],
)
def test_colours(environ, colours):
    assert look(**environ).colours == colours


def test_app_is_told_of_colours_that_ssh_has_lost():
    environ = {"TERM": "tmux-256color", "TMUX": "x", "LANG": "C.UTF-8"}
    prepare(examine(environ, lambda: GOOD_TMUX, interactive=True), environ)
    assert environ["COLORTERM"] == "truecolor"
    plain = {"TERM": "xterm-256color"}
    prepare(examine(plain, interactive=True), plain)
    assert "COLORTERM" not in plain


def test_everything_that_is_not_well_says_what_to_do():
    poor = look(Tmux("3.3a", False, "external", "off"), TMUX="x", TERM="screen", SSH_TTY="/dev/pts/1", LANG="C")
    said = [
        *remarks(poor),
        *remarks(look(NO_COLOR="1", STY="1.x")),
        *remarks(look(TERM="dumb", LANG="")),
        *remarks(look(TERM="vt100", SSH_CONNECTION="a b")),
        *remarks(examine({}, interactive=False)),
    ]
    assert [found for found in said if found.level != "ok" and not found.hint] == []
    assert {found.what for found in said} >= {"letters", "colours", "copying", "pictures", "screen", "connection"}


def test_tmux_without_utf8_is_told_with_the_command_that_mends_it():
    found = remark(look(Tmux("3.3a", client_utf8=False), TMUX="x"), "letters")
    assert found.level == "warning"
    assert "tmux -u attach" in found.hint


def test_good_terminal_has_nothing_to_mend():
    assert {found.level for found in remarks(look(COLORTERM="truecolor", TMUX="x"))} == {"ok"}
