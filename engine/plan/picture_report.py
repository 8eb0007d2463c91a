"""What the pictures' pixels tell of a whole project: who is blurred, who is nearly the same as another, see-through.

Only the pictures that were looked at so far are spoken of (`looked.Looks`), so there is a report at any time.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from engine.plan.dataset import Dataset, Picture
from engine.plan.duplicates import same_files
from engine.plan.errors import Finding, few, plural
from engine.plan.looked import Looks
from engine.plan.looks import Look
from engine.plan.near_copies import near_copies
from engine.plan.picture_remarks import BLURRED_PIXELS, UNDER, edge_pixels, near_copy, remarks_on, scaled
from engine.plan.remedy import set_line
from engine.plan.settings import Settings

TALLIED = ("blurred", "near-copy", "small", "cut", "see-through")
"""The codes of remarks that are counted, the worst first."""


def tallied(code: str, count: int) -> str:
    """`2 blurred`, `1 near-copy`, `3 near-copies`."""
    return plural(count, code, "near-copies" if code == "near-copy" else code)


class Tally(NamedTuple):
    """Of the training pictures: how many are used, and with nothing against them; how many cannot be trained; how many
    have each remark of TALLIED; and what becomes of their sizes, by `scaled`.
    """

    used: int = 0
    fine: int = 0
    broken: int = 0
    by: Mapping[str, int] = MappingProxyType({})
    scales: Mapping[str, int] = MappingProxyType({})

    def __str__(self) -> str:
        parts = [f"{self.fine:,} with nothing against them"] if self.fine < self.used else ["all is well with them"]
        parts += [tallied(code, count) for code, count in self.by.items()]
        parts += [f"{self.broken:,} that cannot be used"] if self.broken else []
        return f"{self.used:,} trained, {', '.join(parts)}"


@dataclass(frozen=True)
class PictureReport:
    """remarks: by picture, beside its own problems. copies: groups of near-copies that are trained, the best first.

    tally: counted once, since screens ask for it at every key. left_out: remarks on the pictures that the user left
    out, so that it can be seen later why; they count for nothing else.
    """

    remarks: Mapping[Path, tuple[Finding, ...]] = field(default_factory=dict)
    copies: tuple[tuple[Picture, ...], ...] = ()
    findings: tuple[Finding, ...] = ()
    tally: Tally = field(default_factory=Tally)
    left_out: Mapping[Path, tuple[Finding, ...]] = field(default_factory=dict)

    def of(self, picture: Picture) -> tuple[Finding, ...]:
        """All that is to be said of one picture, the worst first: what cannot be used, what spoils the result by
        TALLIED, remarks on its caption; notes come after warnings."""
        remarks = self.remarks.get(picture.path) or self.left_out.get(picture.path, ())
        said = (*picture.problems, *remarks)
        return said if len(said) < 2 else tuple(sorted(said, key=_badness))

    def worse(self) -> list[Picture]:
        """Of each group of near-copies all but the best."""
        return [picture for group in self.copies for picture in group[1:]]


def _badness(finding: Finding) -> tuple[bool, int]:
    """The smaller the worse."""
    if finding.level == "error" or finding.code in _UNUSABLE:
        return False, -1
    rank = TALLIED.index(finding.code) if finding.code in TALLIED else len(TALLIED)
    return finding.level == "note", rank + finding.code.startswith("caption-")


_UNUSABLE = ("broken-picture", "picture-too-small")
_LOSSY = frozenset({".jpg", ".jpeg", ".webp", ".avif", ".heic", ".heif"})


class Reporter:
    """Makes reports; which pictures are nearly the same is worked out again only where pictures came or changed."""

    def __init__(self) -> None:
        self._compared: dict[Path, Look] = {}
        self._groups: list[list[Path]] = []
        self._same: dict[tuple[object, ...], bool] = {}  # by paths and stamps, so that nothing is read twice

    def report(self, settings: Settings, dataset: Dataset, looks: Looks) -> PictureReport:
        """What is known by now of a project's pictures."""
        seen = {p.path: look for p in dataset.pictures if p.bucket[0] and (look := looks[p.path]) is not None}
        remarks: defaultdict[Path, list[Finding]] = defaultdict(list)
        for picture in dataset.used_of("train"):
            remarks[picture.path] += remarks_on(settings, picture, seen.get(picture.path))
        groups = self._alike(settings, dataset, seen, looks)
        trained = (tuple(picture for picture in group if picture.used) for group in groups)
        copies = tuple(group for group in trained if len(group) > 1)
        for group in copies:
            for place, picture in enumerate(group):
                other = group[0] if place else group[1]
                why = _better(other, picture, seen, looks)
                remarks[picture.path].append(near_copy(picture, other, not place, why))
        names = {picture.path: picture.path.name for picture in dataset.used}
        findings = [*_blurred(remarks, names), *_see_through(settings, remarks, names, seen)]
        findings += _near_copies([group for group in copies if not self._one_file(group, looks)])
        report = PictureReport(
            {path: tuple(said) for path, said in remarks.items() if said},
            copies,
            tuple(findings),
            left_out=_on_left_out(settings, dataset, seen, groups, looks),
        )
        return replace(report, tally=_tally(report, dataset.of("train")))

    def _alike(
        self, settings: Settings, dataset: Dataset, seen: Mapping[Path, Look], looks: Looks
    ) -> list[list[Picture]]:
        """Groups of near-copies that are trained or left out, the best first."""
        if seen != self._compared:
            self._groups, self._compared = near_copies(seen), dict(seen)
        area = settings.size[0] * settings.size[1]
        known = {picture.path: picture for picture in dataset.pictures if picture.used or _by_the_user(picture)}

        def badness(picture: Picture) -> tuple[bool, int, float, int, bool, int]:
            """Pixels count as far as they are trained; then sharpness; then what was compressed less."""
            pixels = picture.width * picture.height
            width = edge_pixels(picture, seen[picture.path])
            size = picture.path.suffix.lower() in _LOSSY, -looks.file_bytes(picture.path)
            return picture.kind == "reg", -min(pixels, area), round(width or BLURRED_PIXELS, 1), -pixels, *size

        groups = ([known[path] for path in group if path in known] for group in self._groups)
        return [sorted(group, key=badness) for group in groups if len(group) > 1]

    def _one_file(self, group: Sequence[Picture], looks: Looks) -> bool:
        """Whether all of a group are the same to the byte; that has a finding of its own (`picture-duplicate`)."""
        paths = [picture.path for picture in group]
        if len({looks.file_bytes(path) for path in paths}) > 1:
            return False
        of = tuple((path, looks.known[path][0]) for path in paths)
        if of not in self._same:
            self._same[of] = [len(same) for same in same_files(paths)] == [len(paths)]
        return self._same[of]


def _better(other: Picture, picture: Picture, seen: Mapping[Path, Look], looks: Looks) -> str:
    """What makes the first the better one, as far as that can be said; "" where it is not."""
    if other.width * other.height > picture.width * picture.height:
        return "larger"
    widths = [round(edge_pixels(one, seen[one.path]), 1) for one in (other, picture)]
    if 0 < widths[0] < widths[1]:
        return "sharper"
    lossy = [one.path.suffix.lower() in _LOSSY for one in (other, picture)]
    fewer = looks.file_bytes(other.path) > looks.file_bytes(picture.path)
    return "less compressed" if lossy[1] and (fewer or not lossy[0]) else ""


def _by_the_user(picture: Picture) -> bool:
    """Whether it is left out although it could be trained."""
    return picture.left_out and bool(picture.bucket[0])


def _on_left_out(
    settings: Settings, dataset: Dataset, seen: Mapping[Path, Look], groups: Sequence[Sequence[Picture]], looks: Looks
) -> dict[Path, tuple[Finding, ...]]:
    """What would be said of the pictures that the user left out."""
    remarks: defaultdict[Path, list[Finding]] = defaultdict(list)
    for picture in filter(_by_the_user, dataset.of("train")):
        remarks[picture.path] += remarks_on(settings, picture, seen.get(picture.path))
    for group in groups:
        for place, picture in enumerate(group):
            if picture.left_out:
                others = group[:place] or group[1:]
                other = next((other for other in others if other.used), others[0])
                why = _better(other, picture, seen, looks)
                remarks[picture.path].append(near_copy(picture, other, not place, why))
    return {path: tuple(said) for path, said in remarks.items() if said}


def _tally(report: PictureReport, pictures: Sequence[Picture]) -> Tally:
    used = [picture for picture in pictures if picture.used]
    against = [{finding.code for finding in report.of(p) if finding.level != "note"} for p in used]
    counts = Counter(code for codes in against for code in codes)
    broken = sum(any(f.code in _UNUSABLE for f in p.problems) for p in pictures)
    by = {code: counts[code] for code in TALLIED if counts[code]}
    return Tally(len(used), against.count(set()), broken, by, Counter(scaled(picture) for picture in used))


# ----------------------------------------------------------------------------------------------------- of all of them
def _with(code: str, remarks: Mapping[Path, Sequence[Finding]]) -> list[Path]:
    return [path for path, said in remarks.items() if any(finding.code == code for finding in said)]


def _blurred(remarks: Mapping[Path, Sequence[Finding]], names: Mapping[Path, str]) -> Iterable[Finding]:
    if blurred := _with("blurred", remarks):
        yield Finding(
            "blurred-pictures",
            f"{plural(len(blurred), 'picture')} {'looks' if len(blurred) == 1 else 'look'} blurred: "
            f"{few(names[path] for path in blurred)}. A LoRA learns blur as it learns a face.",
            f"Leave {'it out, unless it shows' if len(blurred) == 1 else 'them out, unless they show'} what no other "
            "picture does; a few good pictures teach more.",
        )


def _see_through(
    settings: Settings, remarks: Mapping[Path, Sequence[Finding]], names: Mapping[Path, str], seen: Mapping[Path, Look]
) -> Iterable[Finding]:
    clear = _with("see-through", remarks)
    if not clear:
        return
    under = Counter(seen[path].under for path in clear)
    learnt = ", ".join(f"{UNDER[kind]} ({count})" for kind, count in under.most_common())
    yield Finding(
        "see-through-pictures",
        f"{plural(len(clear), 'picture')} {'is' if len(clear) == 1 else 'are'} see-through in parts: "
        f"{few(names[path] for path in clear)}. Training knows no transparency, so there is learnt {learnt}.",
        f"Put {'it on a background that suits' if len(clear) == 1 else 'them on backgrounds that suit'}. "
        f"Or do not learn those parts: {set_line('alpha_mask', 'true')}",
        level="warning" if under["black"] + under["white"] else "note",
    )


def _near_copies(groups: Sequence[Sequence[Picture]]) -> Iterable[Finding]:
    if not groups:
        return
    worse = sum(len(group) - 1 for group in groups)
    of_class = all(picture.kind == "reg" for group in groups for picture in group)
    shown = few(" ≈ ".join(_few_names(group)) for group in groups)
    yield Finding(
        "reg-near-copies" if of_class else "near-copies",
        f"{plural(worse, 'picture')} {'is' if worse == 1 else 'are'} nearly the same as another: {shown}. What is seen "
        "more often than the rest is learnt harder than the rest, down to its background.",
        "Keep the best of each; `lora-tui open` leaves the others out with one key, c on the Pictures page.",
        level="note" if of_class else "warning",
    )


def _few_names(group: Sequence[Picture]) -> list[str]:
    names = [picture.name for picture in group]
    return names if len(names) <= 3 else [*names[:2], f"{len(names) - 2} more"]
