"""How often to repeat the folders of pictures for about so many steps, with the arithmetic written out.

Each subject gets the same share of an epoch: of two, the one with fewer pictures gets more repeats. Folders with the
same words behind the number show one subject, and share what it gets: their pictures are repeated alike.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from engine.plan.base_model import BUILT_IN
from engine.plan.dataset import Dataset, steps_with
from engine.plan.errors import are, plural
from engine.plan.settings import Settings

GUIDE_VIEWS = 3000
"""How often the guide shows pictures of its own in all: 30 pictures × 25 repeats × 4 epochs."""
MANY_REPEATS = 100
"""A picture seen more often than that in an epoch is learnt by heart, whatever it shows."""
MUCH_MORE = 1.25
"""From here on a training is much longer than wished, although every picture is seen only once an epoch."""


@dataclass(frozen=True)
class Advice:
    """wished: how many steps; whose: who says so, "as now" where nobody wished. repeats: by training folder. now: the
    repeats there are. steps: what would follow. lines: the arithmetic."""

    wished: int
    whose: str
    repeats: Mapping[str, int]
    now: Mapping[str, int]
    steps: int
    lines: tuple[str, ...]

    @property
    def followed(self) -> bool:
        """Whether the repeats are as recommended."""
        return self.repeats == self.now

    def as_json(self) -> dict[str, object]:
        """For `check --json`."""
        return {
            "wished_steps": self.wished,
            "repeats": dict(self.repeats),
            "steps": self.steps,
            "explanation": "\n".join(self.lines),
        }


def usual_wish(settings: Settings, dataset: Dataset) -> int:
    """The number of steps where nobody wished for another: the guide's, or those there are with the practice model."""
    if settings.pretrained_model_name_or_path == BUILT_IN:
        return dataset.steps.total
    twice = 2 if dataset.steps.num_reg_images else 1
    return max(1, GUIDE_VIEWS * twice // _together(settings))


def advise(settings: Settings, dataset: Dataset, wished: int | None = None) -> Advice:
    """The repeats for about `wished` steps."""
    counts = Counter(picture.folder for picture in dataset.used_of("train"))
    now = {f.name: f.repeats for f in dataset.folders if f.kind == "train" and counts[f.name]}
    usual = usual_wish(settings, dataset)
    steps = wished or usual
    epochs, together = settings.max_train_epochs, _together(settings)
    seen = steps * together / epochs
    whose = "wished for" if wished else "as now" if usual == dataset.steps.total else "as in the guide"
    lines = [
        f"{plural(steps, 'step')} ({whose}) ÷ {plural(epochs, 'epoch')} × {plural(together, 'picture')} a step = "
        f"{_number(seen)} pictures an epoch."
    ]
    if dataset.steps.num_reg_on_disk:
        seen /= 2
        lines.append(f"Half of them are regularisation pictures, so {_number(seen)} are your own.")
    subjects = _subjects(dataset, list(now))
    share = seen / max(1, len(subjects))
    if len(subjects) > 1:
        lines.append(f"The same for each of {len(subjects)} subjects: {_number(share)}.")
    repeats, scarce = dict[str, int](), list[str]()
    for names in subjects:
        pictures = sum(counts[name] for name in names)
        times = max(1, round(share / pictures))
        repeats |= dict.fromkeys(names, times)
        of = f"{' and '.join(names)}: " if len(now) > 1 else ""
        exact = share / pictures
        rounded = "" if times == exact else f" {exact:.1f}, so" if exact >= 1 else " less than 1, so"
        lines.append(f"{of}{_number(share)} ÷ {plural(pictures, 'picture')} ={rounded} {plural(times, 'repeat')}.")
        if times > MANY_REPEATS:
            scarce.append(
                f"Warning: {times:,} repeats are too many. {plural(pictures, 'picture')} of {' and '.join(names)} "
                f"{are(pictures)} too few to learn from, and more of them would help more than repeats."
            )
    follow = steps_with(dataset, settings, repeats)
    lines.append(f"That makes {plural(follow.total, 'step')}.")
    if follow.total > MUCH_MORE * steps and max(repeats.values()) == 1 and epochs > 1:
        fewer = max(1, steps // follow.steps_per_epoch)
        lines.append(f"There are so many pictures that fewer epochs do: max_train_epochs = {fewer}.")
    return Advice(steps, whose, {name: repeats[name] for name in now}, now, follow.total, (*lines, *scarce))


def _subjects(dataset: Dataset, used: list[str]) -> list[list[str]]:
    """The folders that are trained, those of one subject together."""
    words = {folder.name: folder.class_words for folder in dataset.folders if folder.kind == "train"}
    subjects: dict[str, list[str]] = {}
    for name in used:
        subjects.setdefault(words[name], []).append(name)
    return list(subjects.values())


def _together(settings: Settings) -> int:
    """Pictures in one step."""
    return settings.train_batch_size * settings.num_processes * settings.gradient_accumulation_steps


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.1f}"
