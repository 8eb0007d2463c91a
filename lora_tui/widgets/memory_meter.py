"""The bar of a GPU's memory that is always seen while settings are changed."""

from __future__ import annotations

from engine.plan.errors import inert
from engine.plan.estimate import Estimate
from engine.plan.gpus import gib
from lora_tui.estimate_texts import of_room
from lora_tui.widgets.paint import BAD, DIM, GOOD, STRONG, WARN, Part, bar

SHORTEST_BAR, LONGEST_BAR = 6, 40  # cells
_TITLE = " GPU memory  "


def meter(found: Estimate, cells: int) -> list[Part]:
    """One line of at most `cells`: a bar of the GPU's memory with what the training takes of it, and in figures."""
    need, there, gpu = found.needs, found.room, found.gpu
    if gpu is None or there is None:
        none = "no GPU can be used here" if found.no_gpu else "no GPU here"
        why = none if gpu is None else "its memory is not known"
        return [(_TITLE, DIM), (gib(need), STRONG), (f"  {why}", DIM)]
    mark = "x" if need > there else "!" if found.fits_tightly else "ok"
    style = {"x": BAD, "!": WARN}.get(mark, GOOD)
    spare = f"{gib(there - need)} to spare" if there >= need else f"{gib(need - there)} too much"
    room = cells - len(_TITLE) - SHORTEST_BAR
    figures, spare, name = f"  {of_room(found)}", f"  {spare}", f"  {inert(gpu.name, 30)}"
    # What matters least gives way first.
    if len(figures + spare + name) > room:
        name = ""
    if len(figures + spare) > room:
        figures = f"  {gib(need)} of {gib(there)}{' free' if gpu.free_bytes is not None else ''}"
    bar_cells = max(SHORTEST_BAR, min(LONGEST_BAR, SHORTEST_BAR + room - len(figures + spare + name)))
    return [
        (_TITLE, DIM),
        *bar(need, there, bar_cells, style),
        (figures, STRONG if mark == "ok" else style),
        (spare, DIM if mark == "ok" else style),
        (name, DIM),
    ]
