"""What a person has asked the engine to do here, and what it has answered."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from engine.plan.errors import Finding, UserError, inert
from engine.runs import control
from engine.runs.folder import RunFolder
from engine.runs.snapshot import Snapshot

if TYPE_CHECKING:
    from lora_tui.screens.sentences import Says

SLOW_SECONDS = 8.0  # a step of a large model takes a few; after this it is fair to say that it takes long
_ASKED = {
    "pause": "Asked the engine to pause.",
    "resume": "Asked the engine to go on.",
    "stop": "Asked the engine to save and stop.",
    "stop-after-epoch": "Asked the engine to stop after this epoch.",
    "checkpoint": "Asked the engine to save a checkpoint.",
    "sample": "Asked the engine for a sample.",
}
_ASKED_OF_A_DRY_RUN = {"stop": "Asked the engine to stop."}  # it saves nothing
_MARKS = {"done": "ok", "ignored": "!", "refused": "x"}


class Orders:
    """Sends commands to the engine of one run. What was asked and not answered yet is not sent twice."""

    def __init__(self, run: RunFolder, clock: Callable[[], float] = time.monotonic) -> None:
        self._run, self._clock = run, clock
        self._words = _ASKED | (_ASKED_OF_A_DRY_RUN if run.is_dry_run else {})
        self._open: dict[str, tuple[str, float, bool]] = {}  # id -> command, when, told that it takes long

    def send(self, command: str, **arguments: object) -> Says:
        """Ask the engine; the sentence to show."""
        if any(asked == command for asked, _, _ in self._open.values()) and command != "sample":
            return "ok", f"{self._words[command]} It has not answered yet."
        try:
            name = control.send(self._run, command, **arguments)
        except (UserError, OSError) as error:
            return "x", f"The engine could not be asked: {inert(error)}"
        self._open[name] = (command, self._clock(), False)
        return "ok", self._words[command]

    def answer(self, snapshot: Snapshot, alive: bool) -> Says | None:
        """News about what was asked, if there is any. `alive`: whether an engine is there to answer."""
        for name, (command, when, told) in list(self._open.items()):
            if (said := snapshot.answers.get(name)) is not None:
                del self._open[name]
                _, result, message = said
                return _MARKS.get(result, "!"), inert(message) or f"{self._words[command]} The answer: {inert(result)}."
            if not alive:
                del self._open[name]
                return "!", "The engine ended before it could answer."
            if not told and self._clock() - when > SLOW_SECONDS:
                self._open[name] = (command, when, True)
                return "ok", f"{self._words[command]} It will answer after the step, the sample or the save it is at."
        return None


def resume(run: RunFolder, sets: Mapping[str, object] | None = None, accepted: bool = False) -> Says | Finding:
    """Start an engine on a run that can go on, with these options changed; what to say of it. A finding is what is
    known to fail here: nothing was started then, unless that is `accepted`."""
    from engine.runs.resume import going_on, prepare
    from lora_tui.follow import start
    from lora_tui.resuming import hindrance

    try:
        stops = hindrance(run, going_on(run, sets))
        if stops is not None and stops.stops_training(accept_warnings=accepted):
            return stops if stops.overridable else ("x", str(stops))
        prepare(run, sets)
        start(run, None, fresh=False)
    except UserError as error:
        return "x", inert(error)
    except Exception as error:  # in a thread nobody else would tell it, and the screen would wait for ever
        return "x", f"The engine could not be started: {inert(error)}"
    return "ok", "The engine has started and goes on with this run."
