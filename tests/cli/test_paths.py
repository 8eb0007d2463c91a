"""Paths as people paste, drop and type them."""

from __future__ import annotations

import os
import shlex
import time
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.plan.errors import inert
from lora_tui.paths import MOST_CANDIDATES, clean, complete

ANY_TEXT = st.text(st.characters(), max_size=60) | st.text("'\"\\ /~.%a\n\0“”`file:", max_size=30)


@pytest.mark.parametrize(
    ("given_text", "path"),
    [
        ("/data/my pictures", "/data/my pictures"),
        ("  /data/x \r\n", "/data/x"),
        ("\n\n/data/x\n/data/y\n", "/data/x"),
        ("'/data/my pictures'", "/data/my pictures"),
        ('"/data/my pictures" ', "/data/my pictures"),
        ("“/data/x”", "/data/x"),
        ("`/data/x`", "/data/x"),
        ("'/data/it'\\''s'", "/data/it's"),
        ('"/data/a \\"b\\" \\$c"', '/data/a "b" $c'),
        ("/data/my\\ pictures\\ \\(1\\)", "/data/my pictures (1)"),
        ("/data/it\\'s", "/data/it's"),
        ("/data/ends\\ ", "/data/ends "),
        ("/data/a\\ b.png /data/c\\ d.png", "/data/a b.png"),
        ("'/data/a b.png' '/data/c.png'", "/data/a b.png"),
        ("file:///data/my%20pictures", "/data/my pictures"),
        ("file://localhost/data/100%25.png", "/data/100%.png"),
        ("FILE:///data/x#1?", "/data/x#1?"),
        ("'file:///data/a%20b'", "/data/a b"),
        ("file:///a%20b\r\nfile:///c\r\n", "/a b"),
        ("file:///caf%E9", "/caf\udce9"),
        ("", ""),
        (" \n ", ""),
    ],
)
def test_what_was_pasted_becomes_a_plain_path(given_text, path):
    assert clean(given_text) == path


@pytest.mark.parametrize(
    "path",
    [
        "/data/it's mine", "/data/100%20", "/data/[b]x[/b]", '/data/5" prints', "/data/a & b; c", "/data/#1?",
        "C:\\Users\\me\\Pictures", "/data/back\\slash", "/data/new\\name one", "'tis the season", "relative/x y",
        "/data/größe/日本", "/data/a  b", "/data/$HOME", "file:///bad%00name", "/data/x\\", "/data/caf\udce9",
    ],
)  # fmt: skip
def test_ordinary_paths_with_odd_characters_stay_as_they_are(path):
    assert clean(path) == path


def test_home_is_written_out(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ann")
    assert clean("~") == "/home/ann"
    assert clean("~/my\\ pictures ") == "/home/ann/my pictures"
    assert clean("'~/x'") == "/home/ann/x"
    assert clean("~nobody-of-this-name/x") == "~nobody-of-this-name/x"
    assert clean("/data/~x") == "/data/~x"


@given(ANY_TEXT)
def test_cleaning_never_raises(text):
    assert "\0" not in clean(text)


NAME = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1, max_size=12).map(
    lambda text: text.replace("/", "-").strip() or "x"
)


@given(st.lists(NAME, min_size=1, max_size=3))
def test_what_a_shell_or_a_file_manager_makes_of_a_path_is_read_back(names):
    path = "/" + "/".join(names)
    assert clean(shlex.quote(path) if "'" in path or " " in path else f"'{path}'") == path
    assert clean("file://" + quote(path)) == path


# --------------------------------------------------------------------------------------------------------- completing
@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("img", "image archive", "Regular", "reg_old", ".hidden", "only/deeper"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("model.safetensors", "Model.CKPT", "notes.txt", "only/one.SAFETENSORS"):
        (tmp_path / name).write_text("")
    return tmp_path


def done(folder: Path, typed: str, folders_only: bool = True, suffixes: tuple[str, ...] = ()) -> tuple[str, list[str]]:
    """(what is typed after Tab, the candidates), relative to the folder."""
    found = complete(f"{folder}/{typed}", folders_only=folders_only, suffixes=suffixes)
    return found.text.removeprefix(f"{folder}/"), list(found.candidates)


def test_common_start_is_filled_in(folder):
    assert done(folder, "i") == ("im", ["image archive/", "img/"])
    assert done(folder, "im") == ("im", ["image archive/", "img/"])


def test_only_fitting_folder_gets_a_slash(folder):
    assert done(folder, "ima") == ("image archive/", ["image archive/"])
    assert done(folder, "only/") == ("only/deeper/", ["deeper/"])
    assert done(folder, "img/") == ("img/", [])


def test_exact_case_comes_first_then_any(folder):
    assert done(folder, "R") == ("Regular/", ["Regular/"])
    assert done(folder, "IM") == ("im", ["image archive/", "img/"])
    assert done(folder, "IMG") == ("img/", ["img/"])


def test_hidden_names_only_after_a_dot(folder):
    assert ".hidden/" not in done(folder, "")[1]
    assert done(folder, ".") == (".hidden/", [".hidden/"])
    assert done(folder, "..")[0] == "../"
    assert done(folder, "img/..")[0] == "img/../"


def test_files_by_their_endings_in_any_case(folder):
    assert done(folder, "model")[1] == []
    assert done(folder, "model", False, (".safetensors",)) == ("model.safetensors", ["model.safetensors"])
    assert done(folder, "only/o", False, (".safetensors",)) == ("only/one.SAFETENSORS", ["one.SAFETENSORS"])
    assert done(folder, "n", False) == ("notes.txt", ["notes.txt"])


def test_a_quote_that_is_still_open_is_left_out(folder):
    for mark in "'\"":
        found = complete(f"{mark}{folder}/image a", folders_only=True)
        assert found.text == f"{folder}/image archive/"
        assert complete(f"{mark}~0", folders_only=True).text == f"{mark}~0"


def test_home_stays_as_it_was_typed(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder))
    assert complete("~", folders_only=True).text == "~/"
    assert complete("~/img", folders_only=True).text == "~/img/"


def test_relative_paths_begin_where_they_are_told(folder):
    assert complete("ima", folders_only=True, start=str(folder)).text == "image archive/"


def test_backslashes_out_of_habit_are_understood(folder):
    assert done(folder, "image\\ ar") == ("image archive/", ["image archive/"])


def test_accents_are_found_however_a_system_stores_them(tmp_path):
    (tmp_path / "cafe\u0301").mkdir()
    assert done(tmp_path, "caf\u00e9") == ("cafe\u0301/", ["cafe\u0301/"])


def test_a_name_that_could_harm_is_shown_but_never_typed(tmp_path):
    os.mkdir(os.fsencode(tmp_path) + b"/bad\x1b[2J\xff")
    text, names = done(tmp_path, "b")
    assert text == "bad"
    assert len(names) == 1
    assert inert(names[0]) == "bad\\x1b[2J\\udcff/"


def test_what_cannot_be_read_completes_to_itself(tmp_path):
    for typed in ("/nowhere/at/all/x", "", f"{tmp_path}/" + "x" * 5000, "a\0b/c", "~nobody-of-this-name/x"):
        assert complete(typed, folders_only=True, start=str(tmp_path)).text == typed


def test_ten_thousand_pictures_are_completed_at_once(tmp_path):
    for number in range(10_000):
        (tmp_path / f"picture {number:05}.png").touch()
    (tmp_path / "pictures").mkdir()
    times = []
    for _ in range(3):
        began = time.perf_counter()
        found = complete(f"{tmp_path}/p", folders_only=False)
        only = complete(f"{tmp_path}/p", folders_only=True)
        times.append(time.perf_counter() - began)
    assert found.text == f"{tmp_path}/picture"
    assert (len(found.candidates), found.more) == (MOST_CANDIDATES, 10_001 - MOST_CANDIDATES)
    assert only.text == f"{tmp_path}/pictures/"
    assert min(times) < 0.2  # both; some 30 ms on a quiet machine


@settings(max_examples=200, deadline=None)
@given(ANY_TEXT, st.booleans(), st.lists(st.text(max_size=4), max_size=2))
def test_completing_never_raises_and_keeps_what_was_typed_where_nothing_fits(text, folders_only, suffixes):
    found = complete(text, folders_only=folders_only, suffixes=suffixes, start="/nowhere/at/all")
    assert found.candidates or found.text == text
