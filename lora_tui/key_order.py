"""Keys that arrive together take effect one after the other.

Over a slow line many keys come in one piece. Textual hands each to whatever has the focus when it comes, and does the
bindings of a key later: of `x Enter Down Enter y` all would go to the first editor, and what `Down` and `Enter` mean
there would be done when the `y` is in it already. Here a key waits until the one before has had all its effects. So
does what is pasted: it would come before the key that opens the editor it is meant for, and be lost.
"""

from __future__ import annotations

import time
from collections import deque

from textual import events
from textual.app import App
from textual.message_pump import MessagePump
from textual.widgets import Input

ROUNDS = 3
"""How often all queues from the focused widget up to the app have to be passed until a key has had all its effects: the
key goes up, the action's message comes from below again, and what the form says of it once more."""

LONGEST_SECONDS = 5.0
"""A key that comes later than this is not held up any more: whatever was waited for may be gone. Long, as a processor
that a training has for itself leaves a key waiting for seconds."""


class KeysInOrder(App[None]):
    """An app whose keys are in order. Letters for an editor are not held up: its own queue keeps them in order."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting: deque[events.Key | events.Paste] = deque()
        self._at_work = False  # a key is having its effects
        self._since = 0.0

    async def on_event(self, event: events.Event) -> None:
        if not isinstance(event, events.Key | events.Paste) or event.is_forwarded:
            await super().on_event(event)
        elif self._at_work and time.monotonic() - self._since < LONGEST_SECONDS:
            self._waiting.append(event)
        else:
            self._waiting.append(event)
            await self._next()

    async def _press(self, event: events.Key | events.Paste) -> None:
        target: MessagePump = self.focused or (self.screen if self.screen_stack else self)
        await super().on_event(event)
        if (isinstance(event, events.Paste) or event.is_printable) and isinstance(target, Input):
            return
        self._at_work, self._since = True, time.monotonic()
        self._pass_on(_up_from(target) * ROUNDS)

    def _pass_on(self, queues: list[MessagePump]) -> None:
        """Wait for the first of these queues to come to this, then for the others; then the next key."""
        while queues and not queues[0].call_later(self._pass_on, queues[1:]):
            queues = queues[1:]  # a screen that is gone by now
        if not queues:
            self.call_later(self._next)

    async def _next(self) -> None:
        self._at_work = False
        while self._waiting and not self._at_work:
            await self._press(self._waiting.popleft())


def _up_from(target: MessagePump) -> list[MessagePump]:
    """It and all that it lies in, up to the app."""
    found: list[MessagePump] = []
    node: MessagePump | None = target
    while node is not None:
        found.append(node)
        node = node._parent
    return found
