"""The bar of a GPU's memory that is always seen while settings are changed."""

from __future__ import annotations

from engine.plan.errors import inert
from engine.plan.estimate import Estimate
from engine.plan.gpus import gib
from lora_tui.estimate_texts import of_memory
from lora_tui.widgets.paint import BAD, DIM, GOOD, STRONG, WARN, Part, bar

SHORTEST_BAR, LONGEST_BAR = 8, 40  # cells


def meter(found: Estimate, cells: int) -> list[Part]:
    """One line of at most `cells`: a bar of the GPU's memory with what the training takes of it, and in figures."""
    need, there, gpu = found.needs, found.room, found.gpu
    if gpu is None or there is None:
        none = "no GPU can be used here" if found.no_gpu else "no GPU here"
        why = none if gpu is None else "its memory is not known"
        return [(" GPU memory  ", DIM), (gib(need), STRONG), (f"  {why}", DIM)]
    mark, _ = of_memory(found)
    style = {"x": BAD, "!": WARN}.get(mark, GOOD)
    spare = f"{gib(there - need)} to spare" if there >= need else f"{gib(need - there)} too much"
    words = f"  {gib(need)} of {gib(there)}{' free' if gpu.free_bytes is not None else ''}"
    more = f"  {spare}"
    name = f"  {inert(gpu.name, 30)}"
    room = cells - len(" GPU memory  ") - len(words) - len(more)
    name = name if room - len(name) >= SHORTEST_BAR else ""
    bar_cells = max(SHORTEST_BAR, min(LONGEST_BAR, room - len(name)))
    return [
        (" GPU memory  ", DIM),
        *bar(need, there, bar_cells, style),
        (words, STRONG if mark == "ok" else style),
        (more, DIM if mark == "ok" else style),
        (name, DIM),
    ]
