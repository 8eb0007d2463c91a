"""Sharp pictures, with a stand-in for textual-image: they cannot be seen without a terminal that shows graphics."""

from __future__ import annotations

import importlib
from types import SimpleNamespace
from typing import ClassVar

import pytest
from textual.pilot import Pilot
from textual.widget import Widget

from engine.plan.errors import UserError
from lora_tui.look import Look
from lora_tui.widgets.sharp import find_widget, read_small
from tests.screens.app_test import dashboard, drive, press, text


class StandIn(Widget):
    """Takes pictures as textual-image's widget does."""

    given: ClassVar[list[object]] = []

    @property
    def image(self) -> object:
        return self.given[-1]

    @image.setter
    def image(self, picture: object) -> None:
        self.given.append(picture)


def test_large_pictures_are_handed_over_small_and_once(endings):
    StandIn.given.clear()

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "g")
        await press(pilot)
        assert [picture.size for picture in StandIn.given] == [(256, 256)]  # type: ignore[attr-defined]
        await press(pilot, "left")
        assert len(StandIn.given) == 2
        assert "12 of 13" in text(pilot)

    drive(lambda: dashboard(endings["finished"]), act, look=Look(sharp=StandIn, paints_per_second=50))


def test_what_cannot_be_read_is_a_sentence(tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no picture")
    assert "may be damaged" in str(read_small(tmp_path / "bad.png"))
    assert "is not there" in str(read_small(tmp_path / "gone.png"))


def test_without_the_package_there_is_the_line_that_installs_it(monkeypatch):
    def missing(name: str) -> object:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(UserError, match=r'pip install "lora-tui\[sharp\]"'):
        find_widget()


@pytest.mark.parametrize("kind", ["SixelImage", "TGPImage", "HalfcellImage", "UnicodeImage"])
def test_only_real_graphics_count_as_sharp(monkeypatch, kind):
    kinds = {name: object() for name in ("SixelImage", "TGPImage", "HalfcellImage", "UnicodeImage")}
    package = SimpleNamespace(**kinds, Image=kinds[kind])
    modules = {"textual_image.renderable": package, "textual_image.widget": SimpleNamespace(Image=StandIn)}
    monkeypatch.setattr(importlib, "import_module", modules.__getitem__)
    assert find_widget() is (StandIn if kind in ("SixelImage", "TGPImage") else None)
