"""Finding things by a few letters: options by their names or by what they do, steps and commands. Textual's palette."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.command import CommandInput, CommandPalette, Hit, Hits, Provider, SearchIcon

from engine.plan.errors import inert
from engine.plan.options import options
from lora_tui.letters import in_ascii
from lora_tui.option_texts import ELSEWHERE
from lora_tui.steps import STEPS
from lora_tui.themes import THEMES
from lora_tui.widgets.hints import Hint, Hints, key_name

if TYPE_CHECKING:
    from lora_tui.app import LoraTui
    from lora_tui.pages import Pages
    from lora_tui.screens.page import Page

Entry = tuple[str, str, str, Callable[[], object]]  # title, help, what else it is found by, what to do


ALSO = {
    "project": "name trigger class repeats",
    "pictures": "images add take leave out",
    "regularisation": "reg images",
    "captions": "text words",
    "model": "checkpoint sdxl",
    "settings": "preset parameters options learning rate",
    "review": "start train training dry run try",
    "training": "runs dashboard loss stop pause",
    "results": "lora compare export copy scp fetch",
}  # what else a step is found by


class Palette(CommandPalette):
    """Textual's palette without its borders, its picture of a lens and its dancing dots: plain on every terminal."""

    DEFAULT_CSS = """
    Palette { background: $background; }
    Palette > Vertical { margin-top: 1; background: $background; }
    Palette > Vertical:dark { background: $background; }
    Palette #--input { border: none; height: 1; background: $panel; }
    Palette #--input CommandInput, Palette #--input CommandInput:focus {
        border: none; height: 1; padding: 0; background: $panel;
    }
    Palette SearchIcon { margin: 0; width: 3; padding: 0 1; }
    Palette CommandList, Palette CommandList:focus { border: none; max-height: 80vh; padding: 1 0; }
    Palette CommandList { scrollbar-size: 1 1; }
    Palette CommandList > .option-list--option-highlighted,
    Palette CommandList:nocolor > .option-list--option-highlighted {
        text-style: bold underline; background: $panel;
    }
    Palette LoadingIndicator, Palette LoadingIndicator.--visible { display: none; }
    Palette Hints { dock: bottom; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "command_list('select')", "take it", tooltip="Do what is chosen."),
        Binding("down", "cursor_down", "next", tooltip="The row below."),
        Binding("up", "command_list('cursor_up')", "before", tooltip="The row above."),
        Binding("escape", "escape", "back", tooltip="Back to the screen before."),
    ]

    def compose(self) -> ComposeResult:
        yield from super().compose()
        yield Hints()

    def on_mount(self) -> None:
        keys = [found for found in type(self).BINDINGS if isinstance(found, Binding)]
        hints = [Hint(key_name(self.app, found), found.description, found.action) for found in keys]
        self.query_one(Hints).show_hints(hints, [])
        self.query_one(SearchIcon).icon = ">"
        words = self.query_one(CommandInput)
        words.cursor_blink = False
        if getattr(self.app, "ascii_only", False):
            words.placeholder = in_ascii(str(words.placeholder))


def find_option(app: App[Any], pages: Pages) -> None:
    """The palette of all options."""
    page = pages.page("settings")
    found: list[Entry] = [
        (f"{option.title}  ({option.name})", option.help, f"{option.words} {option.help}", partial(page.find, option))
        for option in options()
        if option.name not in ELSEWHERE
    ]
    app.push_screen(Palette([_provider(found)], placeholder="An option, or what it does: memory, overfitting…"))


def find_command(app: LoraTui, page: Page[Any]) -> None:
    """The palette of the steps of the open project, of what the keys of this screen do, and of the themes."""
    from lora_tui.screens.wizard_page import WizardPage

    found: list[Entry] = []
    if isinstance(page, WizardPage):
        found += [
            (
                f"Go to {step.title}",
                step.asks,
                f"{step.name} {ALSO.get(step.name, '')}",
                partial(page.pages.go, step.name),
            )
            for step in STEPS
        ]
    for active in page.active_bindings.values():
        binding = active.binding
        if binding.tooltip and binding.action not in ("palette", "help"):
            title = f"{binding.description.rstrip('…')}  [{key_name(app, binding)}]"
            run = partial(app.run_action, binding.action, active.node)
            found.append((title, binding.tooltip, binding.id or binding.action, partial(_later, app, run)))
    found += [(f"Theme: {name}", what, "colours", partial(app.choose_theme, name)) for name, what in THEMES.items()]
    app.push_screen(Palette([_provider(found)], placeholder="A command, a step or a theme…"))


def _later(app: App[Any], run: Callable[[], Any]) -> None:
    app.call_later(run)


def _provider(entries: Iterable[Entry]) -> type[Provider]:
    """A provider of just these entries. It lists nothing before something is typed: an Enter that comes quicker than
    the search would do the first thing of that list."""
    known = list(entries)

    class Known(Provider):
        async def search(self, query: str) -> Hits:
            matcher = self.matcher(query)
            for title, help_, words, do in known:
                score = max(matcher.match(title), 0.9 * matcher.match(f"{title} {words}") if _has(query, words) else 0)
                if score > 0:
                    yield Hit(score, inert(title).replace("[", "\\["), do, help=inert(help_))

    return Known


def _has(query: str, words: str) -> bool:
    """Whether every word of the query stands in what an entry is found by. (Letters scattered over a whole sentence,
    which is what the matcher looks for, are no find.)"""
    return all(part in words.casefold() for part in query.casefold().split())
