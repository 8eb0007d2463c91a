"""What all screens have in common: keys that name themselves, and one grammar for them."""

from __future__ import annotations

from textual.binding import Binding
from textual.reactive import Reactive
from textual.screen import Screen, ScreenResultType
from textual.widget import Widget

from lora_tui.widgets.hints import Hint, Hints, key_name
from lora_tui.widgets.line_input import LineInput

PINNED = ("back", "help", "leave")  # what every hint line ends with: the way back, and the app's own
TYPING = ("submit", "complete", "give_up", "back")  # what works while a line is typed


class Page(Screen[ScreenResultType]):
    """A full screen with a `Hints` line. Every binding has an id, a label and a sentence on what it does."""

    AUTO_FOCUS = ""
    _telling = False  # that another line is typed in now, or none

    # Textual's own has the whole screen painted anew whenever the focus changes, 100 kB where a picture is shown. What
    # looks different with the focus paints itself.
    focused: Reactive[Widget | None] = Reactive(None, repaint=False)

    def offered(self, action: str) -> bool:
        """Whether the key of `action` (a binding's id) is worth a hint now. It works all the same."""
        return True

    def label(self, binding: Binding) -> str:
        """What the hint says; a screen may say it in other words as things change."""
        return binding.description

    def key(self, action: str) -> str:
        """The key that does `action` (a binding's id), as people read it."""
        return next((key_name(self.app, found) for found in self._bound() if found.id == action), "")

    @property
    def typing(self) -> bool:
        """Whether letters go into an editor now."""
        return isinstance(self.focused, LineInput)

    def typing_changed(self) -> None:
        """An editor was opened or closed: other keys work now."""
        self.show_hints()

    def on_descendant_focus(self) -> None:
        self._tell_of_typing()

    def on_descendant_blur(self) -> None:
        self._tell_of_typing()

    def _tell_of_typing(self) -> None:
        """Once for a key that moves the focus several times."""

        def tell() -> None:
            self._telling = False
            self.typing_changed()

        if not self._telling:
            self._telling = self.call_after_refresh(tell)

    def hints(self) -> list[Hint]:
        """Those of this screen, in the order of its bindings."""
        if self.typing:
            found = {binding.id: binding for binding in self._bound()}
            return [self._hint(found[name]) for name in TYPING if name in found]
        own = [binding for binding in self._bound() if binding.id not in PINNED]
        return [
            self._hint(binding)
            for binding in own
            if binding.show and binding.tooltip and self.offered(binding.id or "")
        ]

    def pinned(self) -> list[Hint]:
        """The keys that always stand there; while a line is typed, with the key that ends that before them."""
        bound = self._bound()
        if self.typing:  # letters belong to the editor, so they are not among what is bound now
            first = "".join(f"{key_name(self.app, binding)} " for binding in bound if binding.id in TYPING[2:])
            bound = [binding for binding in type(self.app).BINDINGS if isinstance(binding, Binding)] if first else []
        else:
            first = ""
        found = {binding.id: binding for binding in bound}
        hints = [self._hint(found[name]) for name in PINNED if name in found and self.offered(name)]
        return [Hint(f"{first}{hint.key}", hint.label, hint.action) for hint in hints]

    def show_hints(self) -> None:
        """Bring the hint line up to date; sends nothing while it says the same."""
        self.query_one(Hints).show_hints(self.hints(), self.pinned())

    def explained(self) -> list[tuple[str, str, str]]:
        """(keys, label, what it does) of everything that works here, for the help screen."""
        rows: dict[str, tuple[list[str], str, str]] = {}
        for binding in self._bound():
            if not binding.tooltip:
                continue
            keys, _, _ = rows.setdefault(binding.tooltip, ([], binding.description, binding.tooltip))
            keys.append(key_name(self.app, binding))
        return [(" ".join(dict.fromkeys(keys)), label, tooltip) for keys, label, tooltip in rows.values()]

    def _hint(self, binding: Binding) -> Hint:
        return Hint(key_name(self.app, binding), self.label(binding), binding.action)

    def _bound(self) -> list[Binding]:
        """What works here now: this screen's bindings in the order they are written in, then the app's."""
        order = {
            binding.id: place
            for place, binding in enumerate(type(self).BINDINGS)
            if isinstance(binding, Binding) and binding.id
        }
        found = [active.binding for active in self.active_bindings.values()]
        return sorted(found, key=lambda binding: order.get(binding.id or "", len(type(self).BINDINGS)))
