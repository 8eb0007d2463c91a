"""The dashboard's keys, each with an id, a label for the hint line and a sentence for the help screen."""

from __future__ import annotations

from textual.binding import Binding, BindingType

LAST_STEPS = 500
_WALK = "Move through the chart; through the pictures in time and by prompt, where Samples is in front."

DASHBOARD_KEYS: list[BindingType] = [
    Binding(
        "r", "resume_run", "resume", id="resume_run",
        tooltip="Go on with a run that died, failed or was stopped; give one that is finished more epochs.",
    ),
    Binding(
        "p", "pause", "pause", id="pause",
        tooltip="Hold the training after this step, with or without giving back GPU memory; again to go on.",
    ),
    Binding("s", "stop", "stop…", id="stop", tooltip="Stop: now, saving first, or after this epoch. Asks before."),
    Binding("c", "checkpoint", "save now", id="checkpoint", tooltip="Write a checkpoint to go on from, now."),
    Binding("i", "sample", "sample now", id="sample", tooltip="Draw a picture now, with a prompt of yours."),
    Binding("g", "samples", "samples", id="samples", tooltip="The sample pictures, as large as the terminal."),
    Binding("l", "log", "log", id="log", tooltip="The engine's whole log and all warnings."),
    Binding("y", "log_scale", "log scale", id="log_scale", tooltip="Show the loss on a logarithmic scale, and back."),
    Binding("plus", "zoom(2)", "zoom", id="zoom", tooltip="Show half as many steps, from closer."),
    Binding("equals_sign", "zoom(2)", "zoom", show=False),
    Binding("minus", "zoom(0.5)", "out", id="zoom_out", show=False, tooltip="Show twice as many steps."),
    Binding("0", "whole", "whole", id="whole", tooltip="Show the whole run in the chart."),
    Binding("9", "last", f"last {LAST_STEPS}", id="last", tooltip=f"Show the last {LAST_STEPS} steps, and follow."),
    Binding("tab", "next_panel(1)", "next panel", id="next_panel", tooltip="The next panel; the arrow keys act on it."),
    Binding("shift+tab", "next_panel(-1)", "", show=False),
    Binding("left", "arrow(-1, 0)", "move", show=False, tooltip=_WALK),
    Binding("right", "arrow(1, 0)", "move", show=False, tooltip=_WALK),
    Binding("up", "arrow(0, -1)", "move", show=False, tooltip=_WALK),
    Binding("down", "arrow(0, 1)", "move", show=False, tooltip=_WALK),
    *(
        Binding(str(number), f"panel('{name}')", "panel", show=False, tooltip="Bring a panel to the front.")
        for number, name in enumerate(("loss", "samples", "figures", "files", "log"), 1)
    ),
    Binding("o", "runs", "runs", id="runs", tooltip="Other runs of this project; compare them."),
    Binding("escape", "back", "back", id="back", tooltip="Back to the screen before. The training goes on."),
]  # fmt: skip
