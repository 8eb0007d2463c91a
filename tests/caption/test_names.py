"""What a file's name says of its picture, and the class where it says nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from engine.caption.captioner import Shown
from engine.caption.names import FileNames


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("red_hat (2)", "red hat"),
        ("12 red hat", "red hat"),
        ("zibo_01", "zibo"),
        ("IMG fan", "IMG fan"),
        ("img_1234 red hat", "img 1234 red hat"),
        ("p0", "p"),
        ("Sam 2", "Sam"),
        *((name, "man") for name in (
            "01", "002", "1 (2)", "20230101_120000", "2023-01-01 12.00.00", "IMG_1234", "img-1234 (1)",
            "IMG_20230101_12", "IMG-20230101-WA0003", "DSC00012", "_DSC1234", "DSCN0001", "DSCF0001", "DSC_0001",
            "PXL_20230101_120000123", "P1010001", "GOPR0001", "DJI_0001", "MVIMG_20200101_120000", "CIMG0001",
        )),
    ],
)  # fmt: skip
def test_numbers_and_what_cameras_call_their_pictures_say_nothing(name: str, said: str) -> None:
    shown = Shown(Path(f"{name}.png"), Image.new("RGB", (8, 8)), "man", "zibo")
    assert FileNames().caption([shown]) == [said]


def test_without_a_class_the_trigger_word_stands_alone() -> None:
    shown = Shown(Path("01.png"), Image.new("RGB", (8, 8)), "", "zibo")
    assert FileNames().caption([shown]) == ["zibo"]
