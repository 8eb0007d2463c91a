"""Finding things by a few letters: options by their names or by what they do, steps and commands. Textual's palette."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from textual.app import App
from textual.command import CommandPalette, Hit, Hits, Provider

from engine.plan.errors import inert
from engine.plan.options import options
from lora_tui.screens.settings import ELSEWHERE
from lora_tui.steps import STEPS
from lora_tui.widgets.hints import key_name

if TYPE_CHECKING:
    from lora_tui.pages import Pages
    from lora_tui.screens.wizard_page import WizardPage

Entry = tuple[str, str, str, Callable[[], object]]  # title, help, what else it is found by, what to do


def find_option(app: App[Any], pages: Pages) -> None:
    """The palette of all options."""
    page = pages.page("settings")
    found: list[Entry] = [
        (f"{option.title}  ({option.name})", option.help, f"{option.words} {option.help}", partial(page.find, option))
        for option in options()
        if option.name not in ELSEWHERE
    ]
    app.push_screen(CommandPalette([_provider(found)], placeholder="An option, or what it does: memory, overfitting…"))


def find_command(app: App[Any], pages: Pages, page: WizardPage) -> None:
    """The palette of the steps, and of what the keys of this screen do."""
    found: list[Entry] = [(f"Go to {step.title}", step.asks, step.name, partial(pages.go, step.name)) for step in STEPS]
    for active in page.active_bindings.values():
        binding = active.binding
        if binding.id and binding.tooltip and binding.id not in ("palette", "help"):
            title = f"{binding.description.rstrip('…')}  [{key_name(app, binding)}]"
            run = partial(page.run_action, binding.action)
            found.append((title, binding.tooltip, binding.id, partial(_later, app, run)))
    app.push_screen(CommandPalette([_provider(found)], placeholder="A step or a command…"))


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
