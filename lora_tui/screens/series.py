"""Samples in the order a person compares them: the same prompt, seed and strength through time. No widgets."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.runs.snapshot import Sample

Key = tuple[str, int | None, float | None]


@dataclass
class Gallery:
    """Which sample is looked at. It follows the newest one until it is moved, and again once it is moved to the end."""

    samples: list[Sample] = field(default_factory=list)
    _key: Key | None = None
    _step: int | None = None  # None: the newest of its series

    def update(self, samples: list[Sample]) -> bool:
        """Take over the run's samples; True if anything is new."""
        if samples == self.samples:
            return False
        news = [sample for sample in samples if sample.asked and sample not in self.samples]
        if self.samples and news and self.following:
            self._key = _key(news[-1])  # somebody asked for it, and wants to see it
        self.samples = list(samples)
        return True

    @property
    def keys(self) -> list[Key]:
        """The series there are, in the order they began."""
        return list(dict.fromkeys(_key(sample) for sample in self.samples))

    @property
    def series(self) -> list[Sample]:
        """The samples of the series that is looked at, oldest first."""
        keys = self.keys
        if not keys:
            return []
        key = self._key if self._key in keys else keys[0]
        return sorted((sample for sample in self.samples if _key(sample) == key), key=lambda sample: sample.step)

    @property
    def at(self) -> int:
        """Index in `series` of the one that is looked at; -1 where there is none."""
        series = self.series
        if self._step is None:
            return len(series) - 1
        earlier = [index for index, sample in enumerate(series) if sample.step <= self._step]
        return earlier[-1] if earlier else min(0, len(series) - 1)

    @property
    def current(self) -> Sample | None:
        series = self.series
        return series[self.at] if series else None

    @property
    def following(self) -> bool:
        return self._step is None

    def through_time(self, by: int) -> None:
        """Move by so many pictures of the same series; at the end it follows the newest again."""
        series = self.series
        if not series:
            return
        index = max(0, min(len(series) - 1, self.at + by))
        self._step = None if index == len(series) - 1 else series[index].step

    def through_prompts(self, by: int) -> None:
        """The same moment of another prompt."""
        keys = self.keys
        if keys:
            now = keys.index(self._key) if self._key in keys else 0
            self._key = keys[(now + by) % len(keys)]

    def last(self, count: int) -> list[Sample]:
        """The one that is looked at and up to `count` - 1 before it, oldest first."""
        return self.series[max(0, self.at - count + 1) : self.at + 1]


def _key(sample: Sample) -> Key:
    return (sample.prompt, sample.seed, sample.weight)
