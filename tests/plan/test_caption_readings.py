"""What a caption that is not UTF-8 may say."""

from __future__ import annotations

import codecs

import pytest

from engine.plan.caption_readings import Reading, readings


@pytest.mark.parametrize(
    ("data", "reading"),
    [
        (b"ohwx, caf\xe9\r\n", Reading("Windows-1252", "ohwx, caf\xe9", False)),
        (b"\x93ohwx\x94", Reading("Windows-1252", "\u201cohwx\u201d", False)),
        (b"caf\xe9 \x81", Reading("Latin-1", "caf\xe9 \x81", False)),
        (b"\ncaf\xe9\n\nmore\n", Reading("Windows-1252", "caf\xe9", True)),
        (codecs.BOM_UTF16_LE + "ohwx, caf\xe9\r\n".encode("utf-16-le"), Reading("UTF-16", "ohwx, caf\xe9", False)),
        (codecs.BOM_UTF16_BE + "ohwx\n".encode("utf-16-be"), Reading("UTF-16", "ohwx", False)),
    ],
)
def test_a_caption_is_read_as_older_programs_write(data: bytes, reading: Reading) -> None:
    assert readings(data) == [reading]


def test_what_makes_no_text_has_no_reading() -> None:
    assert readings(codecs.BOM_UTF16_LE + b"\x00\xd8\x00") == []
