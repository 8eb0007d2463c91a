"""A scan says what becomes of every picture, and refuses only where nothing is left to train on."""

from __future__ import annotations

import os

import pytest
from PIL import Image

from engine.plan.checks import check_settings
from engine.plan.dataset import scan
from engine.plan.errors import UserError
from engine.plan.project import Project


def codes(findings) -> list[str]:
    return sorted(finding.code for finding in findings)


def refusal(project: Project) -> UserError:
    with pytest.raises(UserError) as caught:
        scan(project, project.resolved())
    return caught.value


def test_the_guides_own_numbers_run_through_a_scan(tmp_path, pictures_in):
    pictures_in(tmp_path / "Img" / "25_Li4mG4ll4gher", [(32, 32)] * 30, caption="Li4mG4ll4gher, a man", ending=".jpg")
    pictures_in(tmp_path / "reg" / "1_man", [(32, 32)] * 752, ending=".jpg")
    project = Project.open(tmp_path)
    dataset = scan(project, project.resolved())
    assert dataset.steps.total == 3000
    assert dataset.buckets == {(32, 32): 1500}
    assert len(dataset.used) == 780
    assert [p.path.name for p in dataset.pictures if not p.used] == ["750.jpg", "751.jpg"]
    assert {p.caption for p in dataset.used_of("reg")} == {"man"}
    assert dataset.findings == ()
    assert "reg-unused" in codes(check_settings(project.resolved(), dataset, project))


def test_two_shapes_of_7_and_5_pictures_give_31_batches_of_4(tmp_path, pictures_in):
    pictures_in(tmp_path / "img" / "10_x", [(64, 96)] * 7 + [(96, 64)] * 5)
    project = Project.open(tmp_path)
    dataset = scan(project, project.resolved({"train_batch_size": 4}))
    assert dataset.buckets == {(64, 96): 70, (96, 64): 50}
    assert dataset.steps.batches_per_epoch == 31


def test_repeats_in_project_toml_win_over_the_folders_name(project):
    project.repeats = {"10_ohwx man": 4, "gone": 3}
    dataset = scan(project, project.resolved())
    assert {picture.repeats for picture in dataset.pictures} == {4}
    assert codes(dataset.findings) == ["folder-not-found"]


def test_a_folder_without_a_number_is_ignored_with_a_warning_unless_project_toml_numbers_it(project, pictures_in):
    pictures_in(project.image_dir / "more", [(64, 64)], caption="ohwx")
    pictures_in(project.image_dir / "0_never", [(64, 64)], caption="ohwx")
    dataset = scan(project, project.resolved())
    assert len(dataset.pictures) == 3
    assert codes(dataset.findings) == ["folder-ignored", "folder-without-repeats"]
    project.repeats = {"more": 2}
    assert len(scan(project, project.resolved()).pictures) == 4


def test_pictures_beside_the_numbered_folders_are_spoken_of(project, pictures_in):
    pictures_in(project.image_dir, [(64, 64)] * 2)
    assert codes(scan(project, project.resolved()).findings) == ["pictures-outside-folders"]


def test_a_broken_picture_is_left_out_and_named(project):
    (project.image_dir / "10_ohwx man" / "001.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    dataset = scan(project, project.resolved())
    assert [picture.used for picture in dataset.pictures] == [True, False, True]
    assert codes(dataset.findings) == ["broken-picture"]
    assert "001.png" in dataset.findings[0].message
    assert dataset.steps.num_train_images == 20


def test_several_broken_pictures_are_all_named(project):
    folder = project.image_dir / "10_ohwx man"
    for name in ("001.png", "new.png", "other.png", "yet.jpg"):
        (folder / name).write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    (finding,) = (f for f in scan(project, project.resolved()).findings if f.code == "broken-picture")
    for name in ("001.png", "new.png", "other.png", "yet.jpg"):
        assert f"10_ohwx man/{name}" in finding.message
    assert finding.hint == "Replace them with whole copies, or delete them."


def test_several_pictures_with_one_caption_that_cannot_be_read_name_it_once(project):
    folder = project.image_dir / "10_ohwx man"
    (folder / "001.png").rename(folder / "000.jpg")
    (folder / "000.txt").write_bytes(b"caf\xe9")
    (finding,) = (f for f in scan(project, project.resolved()).findings if f.code == "caption-not-utf8")
    assert finding.message == "2 pictures have a caption that is not UTF-8: 10_ohwx man/000.txt (byte 3)."
    assert finding.hint.startswith('Save it again with the encoding "UTF-8", or open it at step 4')


def test_nothing_is_said_of_a_picture_that_is_left_out_nor_of_the_caption_of_a_broken_one(project):
    folder = project.image_dir / "10_ohwx man"
    (folder / "001.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    (folder / "001.txt").unlink()
    (folder / "002.txt").write_text("")
    assert codes(scan(project, project.resolved()).findings) == ["broken-picture", "caption-empty"]
    project.left_out = [project.relative(folder / name) for name in ("001.png", "002.png")]
    assert codes(scan(project, project.resolved()).findings) == []


def test_tiny_pictures_are_left_out(project):
    Image.new("RGB", (7, 300)).save(project.image_dir / "10_ohwx man" / "001.png")
    dataset = scan(project, project.resolved())
    assert codes(dataset.findings) == ["picture-too-small"]
    assert len(dataset.used) == 2


def test_a_picture_the_user_left_out_is_not_trained(project):
    project.left_out = ["img/10_ohwx man/001.png", "img/gone.png"]
    dataset = scan(project, project.resolved())
    assert [picture.left_out for picture in dataset.pictures] == [False, True, False]
    assert codes(dataset.findings) == ["left-out-not-found"]
    assert dataset.steps.num_train_images == 20


def test_phone_portraits_stand_upright(tmp_path):
    (tmp_path / "img" / "1_x").mkdir(parents=True)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (128, 96)).save(tmp_path / "img" / "1_x" / "a.jpg", exif=exif)
    project = Project.open(tmp_path)
    picture = scan(project, project.resolved()).pictures[0]
    assert (picture.width, picture.height, picture.bucket) == (96, 128, (96, 128))


def test_a_caption_that_is_not_utf_8_is_found_with_file_and_byte_and_stops_a_training(project):
    (project.image_dir / "10_ohwx man" / "001.txt").write_bytes(b"ohwx caf\xe9")
    dataset = scan(project, project.resolved())
    assert len(dataset.used) == 3
    (finding,) = dataset.findings
    assert finding.code == "caption-not-utf8"
    assert "10_ohwx man/001.txt is not UTF-8 at byte 8" in finding.message
    assert finding.stops_training(accept_warnings=True)


def test_captions_of_both_kinds_that_are_not_utf_8_are_all_named(project, pictures_in):
    pictures_in(project.path / "reg" / "1_man", [(64, 64)], caption="a man")
    for path in project.path.rglob("*.txt"):
        path.write_bytes(b"caf\xe9")
    train, reg = scan(project, project.resolved()).findings
    for number in range(3):
        assert f"10_ohwx man/00{number}.txt (byte 3)" in train.message
    assert "1_man/000.txt" in reg.message
    assert train.stops_training(accept_warnings=True)
    assert reg.stops_training(accept_warnings=True)


def test_the_caption_of_a_picture_that_cannot_be_read_may_be_anything(project):
    (project.image_dir / "10_ohwx man" / "001.txt").write_bytes(b"ohwx caf\xe9")
    (project.image_dir / "10_ohwx man" / "001.png").write_bytes(b"no picture")
    assert codes(scan(project, project.resolved()).findings) == ["broken-picture"]


def test_the_caption_of_a_left_out_picture_may_be_anything(project):
    (project.image_dir / "10_ohwx man" / "001.txt").write_bytes(b"ohwx caf\xe9")
    project.left_out = ["img/10_ohwx man/001.png"]
    assert len(scan(project, project.resolved()).used) == 2


def test_many_pictures_with_the_same_problem_make_one_line(project):
    for number in range(3):
        (project.image_dir / "10_ohwx man" / f"00{number}.txt").write_bytes(b"")
    dataset = scan(project, project.resolved())
    assert codes(dataset.findings) == ["caption-empty"]
    assert dataset.findings[0].message.startswith("3 pictures have an empty caption file")
    assert [codes(picture.problems) for picture in dataset.pictures] == [["caption-empty"]] * 3


def test_an_empty_numbered_folder_is_refused(tmp_path):
    (tmp_path / "img" / "10_x").mkdir(parents=True)
    assert refusal(Project.open(tmp_path)).code == "no-pictures"


def test_an_img_folder_without_numbered_folders_is_refused_with_the_layout(tmp_path, pictures_in):
    pictures_in(tmp_path / "img", [(64, 64)])
    error = refusal(Project.open(tmp_path))
    assert error.code == "no-picture-folder"
    assert "25_ohwx man" in error.hint


def test_a_missing_img_folder_is_refused(project):
    project.image_dir.rename(project.path / "moved")
    assert refusal(project).code == "no-such-folder"


def test_no_usable_picture_left_is_refused_with_the_first_reason(project):
    for number in range(3):
        (project.image_dir / "10_ohwx man" / f"00{number}.png").write_bytes(b"")
    error = refusal(project)
    assert error.code == "no-usable-picture"
    assert "000.png" in error.message


def test_all_pictures_left_out_is_refused_even_with_regularisation_pictures(project, pictures_in):
    pictures_in(project.path / "reg" / "1_man", [(64, 64)] * 3)
    project.left_out = [f"img/10_ohwx man/00{number}.png" for number in range(3)]
    assert refusal(project).code == "no-usable-picture"


def test_progress_is_told_for_every_picture(project):
    seen = []
    scan(project, project.resolved(), lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_scanning_changes_no_file(project):
    def state():
        return {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in project.path.rglob("*")}

    before = state()
    scan(project, project.resolved())
    assert state() == before


def test_names_from_strangers_are_harmless_in_messages(project):
    folder = project.image_dir / "10_ohwx man"
    os.rename(folder / "000.png", folder / "\x1b[2J\u202egnp.png")
    (folder / "\x1b[2J\u202egnp.png").write_bytes(b"")
    message = scan(project, project.resolved()).findings[0].message
    assert message.isprintable()
    assert "\\x1b[2J\\u202e" in message


def test_a_file_name_that_is_not_utf_8_can_be_printed(project):
    folder = os.fsencode(project.image_dir / "10_ohwx man")
    try:
        os.rename(folder + b"/000.png", folder + b"/\xff.png")
    except OSError:
        pytest.skip("this file system takes only UTF-8 names")
    (project.image_dir / "10_ohwx man" / os.fsdecode(b"\xff.png")).write_bytes(b"")
    for finding in scan(project, project.resolved()).findings:
        finding.message.encode("utf-8")
