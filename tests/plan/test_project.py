"""A project opens from any kohya folder, and saving keeps what a person wrote."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from PIL import Image

from engine.plan.errors import UserError
from engine.plan.folders import parse_name
from engine.plan.project import Project


def make_folder(path: Path, name: str = "a.png") -> Path:
    path.mkdir(parents=True)
    Image.new("RGB", (32, 32)).save(path / name)
    return path


def write(project: Project, text: str) -> None:
    project.file_path.write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "repeats_and_words"),
    [
        ("25_ohwx man", (25, "ohwx man")),
        ("10_blue_eyes cat", (10, "blue_eyes cat")),
        ("7", (7, "")),
        ("0_x", (0, "x")),
        ("-1_x", (-1, "x")),
        ("ohwx man", None),
        ("_25_x", None),
        ("2.5_x", None),
        ("٢_x", None),
        ("9" * 5000 + "_x", None),
    ],
)
def test_folder_names_are_read_as_sd_scripts_reads_them(name, repeats_and_words):
    assert parse_name(name) == repeats_and_words


@pytest.mark.parametrize("name", ["img", "Img", "IMG"])
def test_a_kohya_folder_opens_without_a_project_file(tmp_path, name):
    make_folder(tmp_path / name / "25_ohwx man")
    project = Project.open(tmp_path)
    assert (project.trigger, project.class_name, project.has_file) == ("ohwx", "man", False)
    assert project.image_dir == tmp_path / name
    assert not project.file_path.exists()


def test_the_class_comes_from_the_regularisation_folder_where_the_name_has_none(tmp_path):
    make_folder(tmp_path / "Img" / "25_Li4mG4ll4gher")
    make_folder(tmp_path / "reg" / "1_man")
    project = Project.open(tmp_path)
    assert (project.trigger, project.class_name) == ("Li4mG4ll4gher", "man")


@pytest.mark.parametrize("given", ["img/25_ohwx man", "img", "reg/1_man", "project.toml"])
def test_a_folder_inside_the_project_means_the_project(tmp_path, given):
    make_folder(tmp_path / "img" / "25_ohwx man")
    make_folder(tmp_path / "reg" / "1_man")
    (tmp_path / "project.toml").touch()
    project = Project.open(tmp_path / given)
    assert project.path == tmp_path
    assert [note.code for note in project.notes] == ([] if given == "project.toml" else ["parent-used"])


def test_numbered_folders_without_an_img_folder_are_found(tmp_path):
    make_folder(tmp_path / "10_ohwx cat")
    assert Project.open(tmp_path).image_dir == tmp_path
    assert Project.open(tmp_path / "10_ohwx cat").path == tmp_path


@pytest.mark.parametrize(
    ("place", "code"), [("none", "no-such-folder"), ("file", "not-a-folder"), ("", "not-a-project")]
)
def test_what_is_no_project_is_refused(tmp_path, place, code):
    (tmp_path / "file").touch()
    with pytest.raises(UserError) as caught:
        Project.open(tmp_path / place)
    assert caught.value.code == code


@pytest.mark.parametrize("path", ["x" * 5000, "a\0b", "~nobody-at-all/x"])
def test_an_impossible_path_is_refused_in_words(path):
    with pytest.raises(UserError):
        Project.open(path)
    with pytest.raises(UserError):
        Project.create(path, "", "ohwx", "man", 5)


def test_a_path_with_dots_means_the_folder_it_leads_to(project, monkeypatch):
    monkeypatch.chdir(project.image_dir)
    assert Project.open("..").path == project.path
    assert Project.open("..").name == "face"
    monkeypatch.chdir(project.image_dir / "10_ohwx man")
    assert Project.open(".").path == project.path


def test_plain_pictures_are_refused_with_the_command_that_makes_a_project(tmp_path):
    with pytest.raises(UserError, match="lora-tui new"):
        Project.open(make_folder(tmp_path / "holiday"))


def test_saving_keeps_comments_order_and_spelling(project):
    write(
        project,
        "# my face\n[settings] # mine\nlearning_rate = 1e0 # stays\nnetwork_dim = 8\n\n"
        '[project]\ntrigger = "ohwx" # the word\n',
    )
    opened = Project.open(project.path)
    opened.settings["network_dim"] = 16
    opened.settings["optimizer_args"] = ("d0=1e-5", "decouple=True")
    opened.save()
    text = project.file_path.read_text(encoding="utf-8")
    assert text.startswith("# my face\n[settings] # mine\nlearning_rate = 1e0 # stays\nnetwork_dim = 16\n")
    assert 'trigger = "ohwx" # the word' in text
    assert Project.open(project.path).resolved().optimizer_args == ("d0=1e-5", "decouple=True")


def test_comments_inside_a_list_survive_too(project):
    write(project, '[pictures]\nleft_out = [\n    # blurred\n    "a.png", # eyes shut\n    "b.png",\n]\n')
    opened = Project.open(project.path)
    opened.left_out = ["a.png", "c.png"]
    opened.save()
    text = project.file_path.read_text(encoding="utf-8")
    assert "# blurred" in text
    assert "# eyes shut" in text
    assert Project.open(project.path).left_out == ["a.png", "c.png"]
    opened.left_out = ["c.png", "a.png"]
    opened.save()
    assert Project.open(project.path).left_out == ["c.png", "a.png"]


@pytest.mark.parametrize("comment", ["", " # keep"])
def test_many_pictures_are_left_out_and_taken_back_as_few_are(project, comment):
    write(project, f'[pictures]\nleft_out = [\n    "0.png",{comment}\n]\n')
    opened = Project.open(project.path)
    opened.left_out = [f'{number} "a".png' if number else "0.png" for number in range(200)]
    opened.save()
    assert Project.open(project.path).left_out == opened.left_out
    text = (project.path / "project.toml").read_text()
    assert f'    "0.png",{comment}\n' in text
    assert '    "7 \\"a\\".png",\n' in text
    opened.left_out = ["0.png"]
    opened.save()
    assert Project.open(project.path).left_out == ["0.png"]
    assert comment in (project.path / "project.toml").read_text()


def test_a_file_from_windows_keeps_its_line_ends(project):
    project.file_path.write_bytes(b"\xef\xbb\xbf[project]\r\nname = 'a' # mine\r\n")
    opened = Project.open(project.path)
    opened.settings["seed"] = 1
    opened.save()
    data = project.file_path.read_bytes()
    assert data.count(b"\n") == data.count(b"\r\n") > 5
    assert Project.open(project.path).settings == {"seed": 1}


@pytest.mark.parametrize(
    "text",
    [
        'project.name = "x"\nsettings = {seed = 3}\n',
        '[folders]\n"10_ohwx man" = {num_repeats = 3}\n',
        '[folders."10_ohwx man"] # c\nnum_repeats = 3 # why\n[settings]\n',
    ],
)
def test_every_way_of_writing_a_table_can_be_edited(project, text):
    write(project, text)
    opened = Project.open(project.path)
    opened.settings, opened.repeats = {"seed": 4, "network_dim": 8}, {"10_ohwx man": 5, "new": 2}
    opened.save()
    again = Project.open(project.path)
    assert (again.settings, again.repeats) == ({"seed": 4, "network_dim": 8}, {"10_ohwx man": 5, "new": 2})


def test_everything_that_is_saved_is_read_back(project):
    project.name, project.trigger, project.class_name, project.preset = "Face «1»", "ohwx", "man", "guide"
    project.settings = {"seed": 7, "sample_prompts": ["ohwx\tman", 'a "b"']}
    project.repeats = {"10_ohwx man": 4}
    project.left_out = ["img/10_ohwx man/001.png", "img/10_ohwx man/002.png"]
    project.save()
    again = Project.open(project.path)
    assert vars(again) == vars(project)


def test_what_was_taken_back_leaves_the_file(project):
    project.settings, project.repeats, project.left_out = {"seed": 7}, {"10_ohwx man": 4}, ["img/x.png"]
    project.save()
    project.settings, project.repeats, project.left_out = {}, {}, []
    project.save()
    again = Project.open(project.path)
    assert (again.settings, again.repeats, again.left_out) == ({}, {}, [])


@pytest.mark.parametrize(
    ("text", "code", "named"),
    [
        ("[project]\nname = \n", "bad-project-file", "line 2"),
        ('[project]\nname = "a"\nname = "b"\n', "bad-project-file", "line"),
        ("[project]\nname = 3\n", "bad-project-file", "name"),
        ("[settings]\nlearnin_rate = 1\n", "unknown-option", "learning_rate"),
        ("[settings]\nmax_train_steps = 1\n", "unknown-option", "max_train_epochs"),
        ("[setings]\n", "unknown-key", "settings"),
        ('[project]\ntriger = "x"\n', "unknown-key", "trigger"),
        ('[folders."10_x"]\nrepeats = 3\n', "unknown-key", "num_repeats"),
        ('[folders."10_x"]\nnum_repeats = -3\n', "bad-project-file", "num_repeats"),
        ("[pictures]\nleft_out = 3\n", "bad-project-file", "left_out"),
        ("project = 3\n", "bad-project-file", "[project]"),
    ],
)
def test_a_faulty_project_file_is_refused_and_left_as_it_was(project, text, code, named):
    write(project, text)
    with pytest.raises(UserError) as caught:
        Project.open(project.path)
    assert caught.value.code == code
    assert named in str(caught.value)
    assert project.file_path.read_text(encoding="utf-8") == text


def test_a_project_file_that_is_not_utf_8_is_refused_with_the_byte(project):
    project.file_path.write_bytes(b'[project]\nname = "caf\xe9"\n')
    with pytest.raises(UserError, match="byte 21"):
        Project.open(project.path)


def test_saving_over_a_file_that_became_invalid_leaves_it_alone(project):
    project.save()
    write(project, "[project\n")
    with pytest.raises(UserError):
        project.save()
    assert project.file_path.read_text(encoding="utf-8") == "[project\n"


def test_settings_come_from_defaults_then_preset_then_file_then_command_line(project):
    project.preset = "ai-now-prodigy"
    project.settings = {"network_dim": 64, "train_batch_size": 4}
    settings = project.resolved({"train_batch_size": 1})
    assert (settings.max_train_epochs, settings.network_dim, settings.train_batch_size) == (160, 64, 1)


def test_an_unknown_preset_names_the_nearest(project):
    project.preset = "gide"
    with pytest.raises(UserError, match="guide"):
        project.resolved()


def test_a_new_project_has_the_guides_layout_and_copies_of_pictures_and_captions(tmp_path):
    source = make_folder(tmp_path / "holiday")
    (source / "a.txt").write_text("ohwx man", encoding="utf-8")
    (source / "notes.md").touch()
    reg = make_folder(tmp_path / "men")
    project = Project.create(tmp_path / "new" / "face", "Face", "ohwx", "man", 25, source, reg)
    assert sorted(p.relative_to(project.path).as_posix() for p in project.path.rglob("*") if p.is_file()) == [
        "img/25_ohwx man/a.png",
        "img/25_ohwx man/a.txt",
        "project.toml",
        "reg/1_man/a.png",
    ]
    assert (project.name, project.trigger, project.class_name) == ("Face", "ohwx", "man")
    assert (project.path / "model").is_dir()


def test_linked_pictures_have_captions_of_their_own(tmp_path):
    source = make_folder(tmp_path / "holiday")
    (source / "a.txt").write_text("ohwx man", encoding="utf-8")
    folder = Project.create(tmp_path / "face", "", "ohwx", "man", 5, source, link=True).image_dir / "5_ohwx man"
    assert (folder / "a.png").is_symlink()
    assert not (folder / "a.txt").is_symlink()


@pytest.mark.parametrize(
    ("trigger", "class_name", "images", "code"),
    [
        ("", "man", None, "bad-name"),
        ("a/b", "man", None, "bad-name"),
        ("ohwx", "../x", None, "bad-name"),
        ("ohwx", "man", "nowhere", "no-such-folder"),
        ("ohwx", "man", "empty", "no-pictures"),
    ],
)
def test_a_new_project_that_cannot_be_made_leaves_nothing_behind(tmp_path, trigger, class_name, images, code):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError) as caught:
        Project.create(tmp_path / "face", "Face", trigger, class_name, 5, tmp_path / images if images else None)
    assert caught.value.code == code
    assert os.listdir(tmp_path) == ["empty"]


def test_an_existing_folder_is_never_written_into(tmp_path):
    kept = make_folder(tmp_path / "face")
    with pytest.raises(UserError) as caught:
        Project.create(kept, "", "ohwx", "man", 5)
    assert caught.value.code == "exists"
    assert os.listdir(kept) == ["a.png"]


def test_a_copy_that_fails_half_way_leaves_nothing_behind(tmp_path, monkeypatch):
    source = make_folder(tmp_path / "holiday")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "link", full)  # by which a copied file gets its name
    monkeypatch.setattr(os, "rename", full)
    with pytest.raises(UserError) as caught:
        Project.create(tmp_path / "face", "", "ohwx", "man", 5, source)
    assert caught.value.code == "disk-full"
    assert os.listdir(tmp_path) == ["holiday"]


@pytest.mark.parametrize("name", ["../../../model/mine", "a/b", "a\nb", ".hidden", "x" * 121])
def test_a_name_that_could_leave_its_folder_is_refused(project, tmp_path, name):
    with pytest.raises(UserError) as caught:
        Project.create(tmp_path / "new", name, "ohwx", "man", 5)
    assert caught.value.code == "bad-name"
    assert not (tmp_path / "new").exists()
    write(project, f"[project]\nname = {json.dumps(name)}\n")
    with pytest.raises(UserError, match="name") as caught:
        Project.open(project.path)
    assert caught.value.code == "bad-project-file"
    project.name = name
    project.file_path.unlink()
    with pytest.raises(UserError):
        project.save()
    assert not project.file_path.exists()


def test_a_kohya_folder_of_any_name_can_be_saved(tmp_path):
    make_folder(tmp_path / "what?" / "img" / "25_ohwx man")
    Project.open(tmp_path / "what?").save()
    assert Project.open(tmp_path / "what?").name == "what?"


def test_a_path_that_is_not_utf_8_is_refused_in_words(project):
    renamed = project.path.rename(project.path.with_name(os.fsdecode(b"caf\xe9")))
    for path in (renamed, renamed / "img"):
        with pytest.raises(UserError, match="UTF-8"):
            Project.open(path)
    with pytest.raises(UserError, match="UTF-8"):
        Project.create(renamed / "new", "new", "ohwx", "man", 5)
    assert sorted(os.listdir(renamed)) == ["img"]


def test_an_empty_folder_that_is_there_is_filled_and_stays_the_same_folder(tmp_path):
    source = make_folder(tmp_path / "holiday")
    here = tmp_path / "face"
    here.mkdir()
    before = here.stat().st_ino
    project = Project.create(here, "", "ohwx", "man", 5, source)
    assert here.stat().st_ino == before
    assert sorted(os.listdir(here)) == ["img", "model", "project.toml", "reg"]
    assert (project.image_dir / "5_ohwx man" / "a.png").is_file()
    assert sorted(os.listdir(tmp_path)) == ["face", "holiday"]


def test_an_empty_folder_that_cannot_be_filled_stays_empty(tmp_path, monkeypatch):
    here = tmp_path / "face"
    here.mkdir()
    original = Path.rename

    def full(self: Path, target: Path) -> Path:
        if self.name == "reg":
            raise OSError(28, "No space left on device")
        return original(self, target)

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(UserError):
        Project.create(here, "", "ohwx", "man", 5)
    assert os.listdir(here) == []
