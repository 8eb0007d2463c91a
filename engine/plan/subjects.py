"""Whom each training folder shows: several subjects may be trained together, each with a trigger word of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.plan.captions import has_word
from engine.plan.class_words import class_words
from engine.plan.folders import find_folders, parse_name, split_class_words

if TYPE_CHECKING:
    from engine.plan.project import Project


@dataclass(frozen=True)
class Subject:
    """Its trigger word and its class, "" for what is not known."""

    trigger: str
    class_name: str


@dataclass(frozen=True)
class Subjects:
    """own: that of the project; others: by the training folders that show another one."""

    own: Subject
    others: Mapping[Path, Subject]

    @classmethod
    def of(cls, trigger: str, class_name: str, folders: Iterable[Path]) -> Subjects:
        """The subjects of a project with these words and these training folders.

        A folder shows the project's subject, unless its name has another trigger and a class of its own, as
        `10_xyz dog` beside `25_ohwx man`. Where no folder has the project's trigger, since that is another one than
        when they were named, those with its class are the project's; so is whatever is alone.
        """
        words = {folder: class_words_of(folder.name) for folder in folders}
        several = len(set(words.values())) > 1
        known = trigger if any(has_word(text, trigger) for text in words.values()) else class_name
        others = {}
        for folder, text in words.items():
            named, class_of_its_own = split_class_words(text)
            if several and trigger and class_of_its_own and not (known and has_word(text, known)):
                others[folder] = Subject(named, class_of_its_own)
        return cls(Subject(trigger, class_name), others)

    def of_picture(self, picture: Path) -> Subject:
        """Whom a training picture shows."""
        return self.others.get(picture.parent, self.own)

    def of_folder(self, folder: Path) -> Subject:
        """Whom a training folder shows."""
        return self.others.get(folder, self.own)

    @classmethod
    def of_project(cls, project: Project) -> Subjects:
        """Those of a project's folders as they are now. Raises UserError `not-readable`."""
        folders, _ = find_folders(project.image_dir, "train", project.repeats)
        return cls.of(project.trigger, project.class_name, (folder.path for folder in folders))

    @property
    def all(self) -> tuple[Subject, ...]:
        """Each of them once, the project's first."""
        return tuple(dict.fromkeys((self.own, *self.others.values())))

    @property
    def triggers(self) -> dict[Path, str]:
        """The trigger words of the folders that show another subject."""
        return {folder: subject.trigger for folder, subject in self.others.items()}

    @property
    def every_trigger(self) -> tuple[str, ...]:
        """The trigger words of all subjects, the project's first; none where that has none."""
        return tuple(dict.fromkeys(subject.trigger for subject in self.all)) if self.own.trigger else ()

    def triggers_of(self, pictures: Iterable[Path]) -> tuple[str, ...]:
        """The trigger words of some training pictures, each once, in their order."""
        if not self.others:
            return (self.own.trigger,) if self.own.trigger else ()
        return tuple(dict.fromkeys(self.of_picture(picture).trigger for picture in pictures))

    def lacks_trigger(self, picture: Path, caption: str) -> bool:
        """Whether neither the trigger of a picture's subject nor that of the project stands in its caption."""
        own, subject = self.own.trigger, self.of_picture(picture).trigger
        return bool(own) and not has_word(caption, subject) and not has_word(caption, own)

    def plain(self, words: str, subject: Subject) -> str | None:
        """What a caption of this subject would say of an ordinary member of its class (`class_words`): without its
        trigger word, and without the project's. None where neither stands in `words`."""
        without = class_words(words, subject.trigger, subject.class_name)
        if subject == self.own:
            return without
        # Where the project's word stands alone it names this subject; beside its own one, the project's.
        class_name = subject.class_name if without is None else self.own.class_name
        return class_words(words if without is None else without, self.own.trigger, class_name) or without

    def class_of_regularisation(self, class_words: str) -> str:
        """The class that the words of a regularisation folder mean; "" where neither they nor the project name one."""
        named = any(subject.class_name == class_words for subject in self.others.values())
        return class_words if named else self.own.class_name or class_words


def class_words_of(name: str) -> str:
    """What a training folder of this name calls what it shows: the words behind its number."""
    parsed = parse_name(name)
    return (parsed[1] if parsed is not None else name).strip()
