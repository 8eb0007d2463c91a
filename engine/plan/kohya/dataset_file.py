"""sd-scripts' dataset files: [general], [[datasets]] and [[datasets.subsets]] as arguments of one training.

There each subset may have its own; here what holds is the same for all pictures, so only what the subsets agree on is
carried over.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterator, Mapping

from engine.plan.kohya.arguments import interpret
from engine.plan.kohya.outcome import Outcome
from engine.plan.kohya.plain import number_of, switch_of
from engine.plan.kohya.said import Arguments, Said

KIND = "a dataset file of sd-scripts"

_OF_FOLDERS = ("image_dir", "num_repeats", "class_tokens", "is_reg", "metadata_file", "conditioning_data_dir")
_NAMES = {"batch_size": "train_batch_size", "batch_size_per_device": "train_batch_size"}
_MOST_SUBSETS, _MOST_KEYS = 1000, 200


def read(table: Mapping[str, object]) -> Outcome:
    """What a dataset file becomes."""
    outcome = Outcome(KIND)
    interpret(Arguments(said(table, outcome)), outcome)
    return outcome


def said(table: Mapping[str, object], outcome: Outcome) -> dict[str, Said]:
    """The arguments that hold for all pictures; what belongs to folders, or differs between them, is left out."""
    general = _table(table.get("general"))
    rows = list(_rows(table, general))
    found: dict[str, Said] = {}
    for key, value in table.items():
        if key not in ("general", "datasets"):
            outcome.leave(key, value, "unknown", "a dataset file has [general] and [[datasets]]")
    parts = {id(part): part for row, _ in rows for part in row.maps}  # what is shared by all is looked at once
    names = list(dict.fromkeys(name for part in reversed(parts.values()) for name in part))
    if more := len(names[_MOST_KEYS:]):
        outcome.leave(f"{more:,} more keys", "", "unknown", "too many to be listed")
    for name in names[:_MOST_KEYS]:
        given = [row[name] for row, _ in rows if name in row]
        training = [row.get(name) for row, is_reg in rows if not is_reg] or [row.get(name) for row, _ in rows]
        different = list({_compared(value): value for value in training}.values())
        if name in _OF_FOLDERS:
            what = "one" if len(given) == 1 else f"{len(given)} values"
            outcome.leave(name, given[0] if len(given) == 1 else what, "project", "folders are the project's own")
        elif len(different) > 1:
            values = ", ".join("nothing" if value is None else str(value)[:20] for value in different[:3])
            outcome.leave(name, values, "differs", "differs between the subsets; here it is the same for all pictures")
        elif different[0] is not None:
            value = different[0]
            plain = ",".join(map(str, value)) if name == "resolution" and isinstance(value, list) else value
            found[_NAMES.get(name, name)] = Said(plain, name, value)
            if any(_compared(other) != _compared(value) for other in given):
                outcome.note("kohya-reg-differs", f"{name} is another one there for regularisation pictures.")
        else:
            outcome.leave(name, given[0], "differs", "stands there for regularisation pictures only")
    return found


def _compared(value: object) -> str:
    """The same for one value in several spellings: 1 and "1", true and "True"."""
    if (number := number_of(value)) is not None:
        return repr(float(number))
    text = str(value).strip().lower() if isinstance(value, str | bool) else ""
    return text if text in ("true", "false") else repr(value)


def _rows(table: Mapping[str, object], general: dict[str, object]) -> Iterator[tuple[ChainMap[str, object], bool]]:
    """For each subset what holds for it, and whether it is one of regularisation pictures."""
    datasets = table.get("datasets")
    seen = 0
    for dataset in datasets if isinstance(datasets, list) else []:
        own = _table(dataset)
        subsets = own.pop("subsets", None)
        several = subsets if isinstance(subsets, list) and subsets else [{}]
        for subset in several:
            seen += 1
            if seen > _MOST_SUBSETS:
                return
            row = ChainMap(_table(subset), own, general)
            yield row, bool(switch_of(row.get("is_reg", False)))
    if not seen:
        yield ChainMap(general), False


def _table(value: object) -> dict[str, object]:
    return {str(key): inner for key, inner in value.items()} if isinstance(value, dict) else {}
