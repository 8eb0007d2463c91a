"""What a picture file is worth, and which text is its caption."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin

from engine.plan.captions import NotUTF8Error, has_word, read_caption
from engine.plan.errors import UserError
from engine.plan.pictures import load, measure, picture_files


def noisy(size: tuple[int, int] = (64, 48)) -> Image.Image:
    return Image.effect_noise(size, 80).convert("RGB")


@pytest.mark.parametrize("ending", [".png", ".jpg", ".jpeg", ".webp", ".bmp", ".PNG", ".Jpg"])
def test_every_kind_of_picture_is_measured(tmp_path, ending):
    noisy().save(tmp_path / f"a{ending}")
    assert (measure(tmp_path / f"a{ending}").width, measure(tmp_path / f"a{ending}").height) == (64, 48)
    assert picture_files(tmp_path)[0] == [tmp_path / f"a{ending}"]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", [".jpg", ".png", ".webp"])
def test_the_measured_size_is_the_size_of_the_loaded_pixels(tmp_path, orientation, ending):
    exif = Image.Exif()
    exif[0x0112] = orientation
    noisy().save(tmp_path / f"a{ending}", exif=exif)
    size = measure(tmp_path / f"a{ending}")
    assert (size.width, size.height) == ((48, 64) if orientation > 4 else (64, 48))
    assert load(tmp_path / f"a{ending}").size == (size.width, size.height)


def test_an_orientation_that_a_png_keeps_in_xmp_is_obeyed_as_when_loading(tmp_path):
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", '<x tiff:Orientation="6"/>')
    noisy().save(tmp_path / "a.png", pnginfo=info)
    size = measure(tmp_path / "a.png")
    assert load(tmp_path / "a.png").size == (size.width, size.height)


@pytest.mark.parametrize("ending", [".png", ".jpg", ".webp", ".bmp"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.6, 0.95])
def test_a_truncated_picture_is_told_from_a_whole_one(tmp_path, ending, share):
    path = tmp_path / f"a{ending}"
    noisy().save(path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    assert measure(path).problem
    with pytest.raises(UserError) as caught:
        load(path)
    assert caught.value.code == "broken-picture"


def test_a_png_with_a_flipped_bit_is_told_from_a_whole_one(tmp_path):
    path = tmp_path / "a.png"
    noisy().save(path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert "damaged" in measure(path).problem


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"RIFF\0\0\0\0WEBP", b"BM"]
)
def test_nonsense_is_a_problem_and_never_a_crash(tmp_path, content):
    (tmp_path / "a.png").write_bytes(content)
    assert measure(tmp_path / "a.png").problem


def test_a_picture_with_absurdly_many_pixels_is_a_problem(tmp_path, monkeypatch):
    noisy().save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert measure(tmp_path / "a.png").problem == "it has too many pixels"


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "1", "I;16", "CMYK"])
def test_pixels_are_always_rgb(tmp_path, mode):
    ending = ".jpg" if mode == "CMYK" else ".png"
    Image.new(mode, (8, 8)).save(tmp_path / f"a{ending}")
    assert load(tmp_path / f"a{ending}").mode == "RGB"


def test_16_bit_grey_keeps_its_greys(tmp_path):
    Image.new("I;16", (8, 8), 32896).save(tmp_path / "a.png")
    assert load(tmp_path / "a.png").getpixel((0, 0)) == (128, 128, 128)


def test_only_pictures_directly_in_the_folder_count_sorted_and_without_hidden_ones(tmp_path):
    for name in ("b.png", "a.png", "._a.png", "deep/c.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        noisy().save(tmp_path / name)
    (tmp_path / "d.png").mkdir()
    (tmp_path / "e.png").symlink_to("nowhere")
    (tmp_path / "notes.txt").touch()
    pictures, findings = picture_files(tmp_path)
    assert [path.name for path in pictures] == ["a.png", "b.png"]
    assert sorted(finding.code for finding in findings) == ["not-a-picture", "not-a-picture", "pictures-too-deep"]


def caption_of(tmp_path: Path, content: bytes | None, class_words: str = "ohwx man"):
    if content is not None:
        (tmp_path / "a.txt").write_bytes(content)
    caption = read_caption(tmp_path / "a.png", ".txt", class_words)
    return caption.text, caption.problem.code if caption.problem else None


@pytest.mark.parametrize(
    ("content", "text", "problem"),
    [
        (b"ohwx, on a beach\n", "ohwx, on a beach", None),
        (b"  ohwx  ", "ohwx", None),
        (b"ohwx\r\n", "ohwx", None),
        (b"ohwx\nsecond line\n", "ohwx", "caption-lines"),
        (b"\nsecond line\n", "", "caption-blank"),
        (b"", "ohwx man", "caption-empty"),
        (b" \n\t\n", "ohwx man", "caption-empty"),
        (b"\xef\xbb\xbfohwx", "ohwx", None),
        ("ohwx, café".encode(), "ohwx, café", None),
        (None, "ohwx man", "caption-missing"),
    ],
)
def test_the_first_line_of_the_file_is_the_caption(tmp_path, content, text, problem):
    assert caption_of(tmp_path, content) == (text, problem)


def test_without_class_words_a_missing_caption_is_empty(tmp_path):
    assert caption_of(tmp_path, None, class_words="") == ("", "caption-missing")


@pytest.mark.parametrize(("content", "byte"), [("caf\xe9".encode("latin-1"), 3), ("ohwx".encode("utf-16"), 0)])
def test_a_caption_that_is_not_utf_8_is_named_with_its_byte(tmp_path, content, byte):
    with pytest.raises(NotUTF8Error) as caught:
        caption_of(tmp_path, content)
    assert (caught.value.path, caught.value.byte) == (tmp_path / "a.txt", byte)


def test_a_file_of_a_million_characters_is_no_caption(tmp_path):
    assert caption_of(tmp_path, b"x" * 2_000_000) == ("ohwx man", "caption-unreadable")


def test_the_caption_ending_can_be_another(tmp_path):
    (tmp_path / "a.caption").write_text("ohwx", encoding="utf-8")
    assert read_caption(tmp_path / "a.png", ".caption", "").text == "ohwx"


def test_face_crops_share_the_caption_of_their_picture(tmp_path):
    (tmp_path / "anna.txt").write_text("ohwx", encoding="utf-8")
    assert read_caption(tmp_path / "anna_10_20_64_64.png", ".txt", "").text == "ohwx"
    assert read_caption(tmp_path / "anna_20_64_64.png", ".txt", "").path is None


def test_capital_letters_of_the_trigger_do_not_matter():
    assert has_word("LI4Mg4ll4gher, a man", "Li4mG4ll4gher")
    assert not has_word("a man", "ohwx")


@pytest.mark.parametrize(("text", "there"), [("a man", True), ("man's hat", True), ("a woman", False), ("man_1", True)])
def test_a_trigger_is_a_word_of_its_own(text, there):
    assert has_word(text, "man") == there
