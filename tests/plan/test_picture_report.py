"""What is said of a project's pictures: each defect is found, says why it matters and what to do, and no other is."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image, ImageEnhance, ImageFilter

from engine.plan.checks import check_settings
from engine.plan.dataset import Dataset, Picture, scan
from engine.plan.errors import Finding
from engine.plan.looked import Looks
from engine.plan.picture_report import PictureReport, Reporter
from engine.plan.project import Project
from tests.plan.drawn import drawing, texture

Add = Callable[..., Path]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "img" / "10_ohwx man").mkdir(parents=True)
    (tmp_path / "img" / "5_zibo cat").mkdir()
    (tmp_path / "reg" / "1_man").mkdir(parents=True)
    return Project.open(tmp_path)


@pytest.fixture
def add(project: Project) -> Add:
    """Save a picture with its caption: `add(image, "a.png")`."""

    def saved(image: Image.Image, name: str, folder: str = "img/10_ohwx man", **values: object) -> Path:
        path = project.path / folder / name
        image.save(path, **values)  # type: ignore[arg-type]
        path.with_suffix(".txt").write_text("ohwx", encoding="utf-8")
        return path

    for seed in range(3):
        saved(drawing(seed), f"fine_{seed}.png")
    return saved


def looked_at(project: Project, reporter: Reporter | None = None, **values: object) -> tuple[Dataset, PictureReport]:
    settings = project.resolved({"resolution": "384,384", **values})
    dataset, looks = scan(project, settings), Looks()
    looks.look_at([picture.path for picture in dataset.pictures if picture.bucket[0]])
    return dataset, (reporter or Reporter()).report(settings, dataset, looks)


def findings(project: Project, **values: object) -> dict[str, Finding]:
    settings = project.resolved({"resolution": "384,384", **values})
    dataset, report = looked_at(project, **values)
    found = (*dataset.findings, *report.findings, *check_settings(settings, dataset, project))
    return {finding.code: finding for finding in found}


NEW = {
    "blurred-pictures", "near-copies", "reg-near-copies", "see-through-pictures", "cut-pictures", "turned-pictures",
    "one-orientation", "many-pictures", "small-pictures", "video-file", "archive-file",
}  # fmt: skip


def test_nothing_is_said_of_good_pictures(project: Project, add: Add) -> None:
    assert NEW.isdisjoint(findings(project))
    _dataset, report = looked_at(project)
    assert (report.remarks, report.copies, report.findings) == ({}, (), ())
    assert str(report.tally) == "3 trained, all is well with them"


def test_pictures_that_were_not_looked_at_are_not_spoken_of(project: Project, add: Add) -> None:
    add(texture(1).filter(ImageFilter.GaussianBlur(4)), "shaken.png")
    settings = project.resolved({"resolution": "384,384"})
    assert Reporter().report(settings, scan(project, settings), Looks()).findings == ()


def test_a_blurred_picture_is_named_with_what_to_do(project: Project, add: Add) -> None:
    path = add(texture(1).filter(ImageFilter.GaussianBlur(4)), "shaken.png")
    finding = findings(project)["blurred-pictures"]
    assert "1 picture looks blurred: shaken.png." in finding.message
    assert finding.level == "warning"
    assert "Leave" in finding.hint
    _dataset, report = looked_at(project)
    (remark,) = report.remarks[path]
    assert "pixels wide" in remark.message
    assert report.tally.by == {"blurred": 1}
    assert report.tally.fine == 3
    assert "blurred-pictures" not in findings(project, resolution="96,96")  # made smaller it is sharp


def test_near_copies_are_grouped_across_folders_and_the_largest_is_kept(project: Project, add: Add) -> None:
    image = texture(2).resize((760, 760), Image.Resampling.BICUBIC)
    small = add(image.resize((300, 300)), "a.png")
    best = add(image, "b.png", "img/5_zibo cat")
    again = add(image, "c.jpg", "reg/1_man", quality=60)
    finding = findings(project)["near-copies"]
    assert "2 pictures are nearly the same as another" in finding.message
    assert "5_zibo cat/b.png" in finding.message
    _dataset, report = looked_at(project)
    assert [[picture.path for picture in group] for group in report.copies] == [[best, small, again]]
    assert [picture.path for picture in report.worse()] == [small, again]
    assert report.remarks[best][0].level == "note"
    assert "5_zibo cat/b.png" in report.remarks[small][-1].message
    assert report.tally.by["near-copy"] == 1


def test_what_is_left_out_is_no_copy_any_more(project: Project, add: Add) -> None:
    add(texture(2), "a.png")
    second = add(texture(2), "b.jpg", quality=70)
    reporter = Reporter()
    assert len(looked_at(project, reporter)[1].copies) == 1
    project.left_out.append(project.relative(second))
    assert looked_at(project, reporter)[1].copies == ()


def test_of_a_sharp_and_a_blurred_copy_the_sharp_one_is_kept(project: Project, add: Add) -> None:
    blurred = add(texture(2).filter(ImageFilter.GaussianBlur(2)), "a.png")
    sharp = add(texture(2), "b.png")
    (group,) = looked_at(project)[1].copies
    assert [picture.path for picture in group] == [sharp, blurred]


def test_the_same_file_twice_is_said_once(project: Project, add: Add) -> None:
    path = add(texture(2), "a.png")
    shutil.copy(path, path.with_name("b.png"))
    found = findings(project)
    assert "near-copies" not in found
    assert "picture-duplicate" in found
    assert len(looked_at(project)[1].worse()) == 1  # one key leaves it out all the same


def test_a_brightened_copy_of_the_same_size_is_a_near_copy_and_called_no_better(project: Project, add: Add) -> None:
    add(texture(2), "a.bmp")
    again = add(ImageEnhance.Brightness(texture(2)).enhance(1.05), "b.bmp")
    assert again.stat().st_size == again.with_name("a.bmp").stat().st_size
    found = findings(project)
    assert "10_ohwx man/a.bmp ≈ 10_ohwx man/b.bmp" in found["near-copies"].message
    assert "picture-duplicate" not in found
    _dataset, report = looked_at(project)
    (worse,) = report.worse()
    (said,) = (remark.message for remark in report.remarks[worse.path])
    assert said.startswith(f"{worse.path.name} is nearly the same as 10_ohwx man/")
    assert not any(word in said for word in ("larger", "compressed"))


@pytest.mark.parametrize(
    ("better", "worse", "why"),
    [
        (("a.png", texture(2), {}), ("b.png", texture(2).resize((300, 300)), {}), "is larger"),
        (("a.png", texture(2), {}), ("b.png", texture(2).filter(ImageFilter.GaussianBlur(2)), {}), "is sharper"),
        (("a.png", texture(2), {}), ("b.jpg", texture(2), {"quality": 95}), "is less compressed"),
        (("a.jpg", texture(2), {"quality": 97}), ("b.jpg", texture(2), {"quality": 95}), "is less compressed"),
    ],
)
def test_it_is_said_what_makes_the_other_one_better(project: Project, add: Add, better, worse, why: str) -> None:
    for name, image, values in (better, worse):
        add(image, name, **values)
    _dataset, report = looked_at(project)
    (picture,) = report.worse()
    assert picture.path.name == worse[0]
    assert f"10_ohwx man/{better[0]}, which {why}. " in report.remarks[picture.path][-1].message


def test_like_regularisation_pictures_are_only_a_note(project: Project, add: Add) -> None:
    for name, quality in (("a.jpg", 90), ("b.jpg", 50)):
        add(texture(3), name, "reg/1_man", quality=quality)
    found = findings(project)
    assert "near-copies" not in found
    assert found["reg-near-copies"].level == "note"


def test_transparency_is_said_with_what_is_learnt_in_its_place(project: Project, add: Add) -> None:
    cut_out = texture(1)
    cut_out.putalpha(0)
    cut_out.paste((0, 0, 0, 0), (0, 0, 384, 384))
    cut_out.paste(texture(1).convert("RGBA"), (0, 150))
    add(cut_out, "cut_out.png")
    finding = findings(project)["see-through-pictures"]
    assert "plain black" in finding.message
    assert "alpha_mask" in finding.hint
    assert finding.level == "warning"
    assert "see-through-pictures" not in findings(project, alpha_mask=True)


def test_what_matters_most_for_the_result_is_said_first(project: Project, add: Add) -> None:
    sharp = add(texture(1).resize((760, 380)), "wide.png")
    blurred = add(texture(1).resize((760, 380)).filter(ImageFilter.GaussianBlur(4)), "again.png")
    for path in (sharp, blurred):
        path.with_suffix(".txt").unlink()
    add(texture(2), "odd.png").with_suffix(".txt").write_bytes(b"caf\xe9")
    dataset, report = looked_at(project, enable_bucket=False)
    said = {p.path.name: [(f.code, f.level) for f in report.of(p)] for p in dataset.pictures}
    about_all = [("cut", "warning"), ("near-copy", "note"), ("caption-missing", "note")]
    assert said["wide.png"] == about_all
    assert said["again.png"] == [
        ("blurred", "warning"), ("near-copy", "warning"), ("cut", "warning"), ("caption-missing", "note"),
    ]  # fmt: skip
    assert said["odd.png"] == [("caption-not-utf8", "error")]


def test_a_picture_that_is_left_out_keeps_its_remarks_and_counts_for_nothing(project: Project, add: Add) -> None:
    sharp = add(texture(1), "sharp.png")
    blurred = add(texture(1).filter(ImageFilter.GaussianBlur(4)), "again.png")
    project.left_out = [project.relative(blurred)]
    dataset, report = looked_at(project)
    of = {p.path: [f.code for f in report.of(p)] for p in dataset.pictures}
    assert (of[blurred], of[sharp]) == (["blurred", "near-copy"], [])
    assert "nearly the same as 10_ohwx man/sharp.png" in report.left_out[blurred][1].message
    assert (report.copies, report.findings, report.worse(), blurred in report.remarks) == ((), (), [], False)
    assert (report.tally.used, report.tally.fine, report.tally.by) == (4, 4, {})
    project.left_out = [project.relative(sharp)]
    dataset, report = looked_at(project)
    (remark,) = report.left_out[sharp]
    assert (remark.level, "best of some" in remark.message) == ("note", True)
    project.left_out = [project.relative(path) for path in (sharp, blurred)]
    dataset, report = looked_at(project)
    assert "nearly the same as 10_ohwx man/sharp.png" in report.left_out[blurred][1].message


def test_what_cannot_be_used_comes_before_all_and_captions_come_last() -> None:
    codes = ["caption-missing", "see-through", "picture-animated", "caption-lines", "small", "blurred", "near-copy"]
    codes += ["broken-picture", "turned"]
    found = {code: Finding(code, code, level="note" if code == "turned" else "warning") for code in codes}
    picture = Picture(Path("a.png"), "train", "1_a", 1, 1, (0, 0), (0, 0), 1, "", None, False)
    report = PictureReport({picture.path: tuple(found.values())})
    assert [finding.code for finding in report.of(picture)] == [
        "broken-picture", "blurred", "near-copy", "small", "see-through", "picture-animated", "caption-missing",
        "caption-lines", "turned",
    ]  # fmt: skip


def test_a_picture_that_loses_much_is_named_with_how_much(project: Project, add: Add) -> None:
    add(texture(1).resize((760, 380)), "wide.png")
    assert "cut-pictures" not in findings(project)
    finding = findings(project, enable_bucket=False)["cut-pictures"]
    assert "wide.png even 50%" in finding.message
    assert (finding.option, finding.value) == ("enable_bucket", True)
    dataset, report = looked_at(project, enable_bucket=False)
    (wide,) = (picture for picture in dataset.pictures if picture.path.name == "wide.png")
    assert "At the left and the right, 50%" in report.remarks[wide.path][0].message
    assert dataset.cut_in((384, 384)) == pytest.approx(0.5 / 4, abs=0.01)


@pytest.mark.parametrize("no_upscale", [True, False])
def test_a_small_picture_says_what_becomes_of_it(project: Project, add: Add, no_upscale: bool) -> None:
    path = add(texture(1).resize((200, 200)), "small.png")
    values = {"bucket_no_upscale": no_upscale, "bucket_reso_steps": 64, "min_bucket_reso": 128}
    assert "small.png with 200×200" in findings(project, **values)["small-pictures"].message
    said = looked_at(project, **values)[1].remarks[path][0].message
    assert ("at that size" in said) == no_upscale
    assert ("enlarged" in said) == (not no_upscale)


def test_turned_pictures_are_a_note(project: Project, add: Add) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    add(texture(1), "turned.jpg", exif=exif)
    finding = findings(project)["turned-pictures"]
    assert finding.level == "note"
    assert "turned.jpg" in finding.message
    dataset, report = looked_at(project)
    (of_it,) = report.of(next(picture for picture in dataset.pictures if picture.turned))
    assert (of_it.code, of_it.level, report.tally.fine) == ("turned", "note", 4)


@pytest.mark.parametrize(("size", "words"), [((200, 384), "taller than wide"), ((384, 200), "wider than tall")])
def test_pictures_of_one_shape_alone_are_a_note(project: Project, add: Add, size: tuple[int, int], words: str) -> None:
    for seed in range(8):
        add(texture(seed).resize(size), f"{seed}.png")
    assert "one-orientation" not in findings(project)
    for path in project.image_dir.rglob("fine_*.png"):
        path.unlink()
    assert words in findings(project)["one-orientation"].message


def test_very_many_pictures_are_a_note(project: Project, pictures_in: Add) -> None:
    pictures_in(project.image_dir / "10_ohwx man", [(64, 64)] * 201, caption="ohwx")
    settings = project.resolved({"resolution": "64,64"})
    dataset = scan(project, settings)
    found = {finding.code: finding for finding in check_settings(settings, dataset, project)}
    assert "201 pictures are more than" in found["many-pictures"].message
    assert found["many-pictures"].level == "note"


def amounts(project: Project) -> dict[str, Finding]:
    settings = project.resolved({"resolution": "64,64"})
    found = check_settings(settings, scan(project, settings), project)
    return {finding.code: finding for finding in found if finding.code in ("few-pictures", "many-pictures")}


def test_each_subject_is_judged_by_its_own_pictures_and_named(project: Project, pictures_in: Add) -> None:
    pictures_in(project.image_dir / "10_ohwx man", [(64, 64)] * 12, caption="ohwx")
    assert amounts(project) == {}
    pictures_in(project.image_dir / "20_zibo woman", [(64, 64)] * 3, caption="zibo")
    few = amounts(project)["few-pictures"]
    assert few.message.startswith("20_zibo woman has only 3 pictures")
    pictures_in(project.image_dir / "20_kaja dog", [(64, 64)], caption="kaja")
    both = amounts(project)["few-pictures"].message
    assert "20_kaja dog (1), 20_zibo woman (3)" in both
    assert "ohwx" not in both


def test_folders_of_one_subject_are_judged_together(project: Project, pictures_in: Add) -> None:
    pictures_in(project.image_dir / "10_ohwx man", [(64, 64)] * 6, caption="ohwx")
    pictures_in(project.image_dir / "5_ohwx man", [(64, 64)] * 6, caption="ohwx")
    assert amounts(project) == {}
    pictures_in(project.image_dir / "20_zibo woman", [(64, 64)] * 10, caption="zibo")
    for path in (project.image_dir / "5_ohwx man").glob("*.png"):
        path.unlink()
    assert amounts(project)["few-pictures"].message.startswith("10_ohwx man has only 6 pictures")


def test_many_pictures_of_several_subjects_are_not_many_of_one(project: Project, pictures_in: Add) -> None:
    pictures_in(project.image_dir / "10_ohwx man", [(64, 64)] * 150, caption="ohwx")
    pictures_in(project.image_dir / "2_zibo woman", [(64, 64)] * 150, caption="zibo")
    assert amounts(project) == {}
    pictures_in(project.image_dir / "2_zibo woman", [(64, 64)] * 201, caption="zibo")
    many = amounts(project)["many-pictures"].message
    assert many.startswith("201 pictures in 2_zibo woman are more than")
    assert "2 times an epoch" in many


def test_copies_are_compared_again_only_when_pictures_change(
    project: Project, add: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine.plan import picture_report

    compared, plain = [], picture_report.near_copies
    monkeypatch.setattr(picture_report, "near_copies", lambda looks: compared.append(len(looks)) or plain(looks))
    reporter = Reporter()
    for _ in range(3):
        looked_at(project, reporter)
    assert compared == [3]
    add(texture(5), "new.png")
    looked_at(project, reporter)
    assert compared == [3, 4]
