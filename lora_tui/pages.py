"""The wizard's screens: one for each step, built when it is first visited and kept, and who tells them what is new."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.css.query import NoMatches

from lora_tui.steps import StepName
from lora_tui.wizard import Wizard

if TYPE_CHECKING:
    from textual.app import App

    from lora_tui.screens.wizard_page import WizardPage

Show = Callable[["WizardPage"], None]
TICK_SECONDS = 1.0
PAGES: dict[StepName, str] = {
    "project": "project:ProjectPage",
    "pictures": "pictures:PicturesPage",
    "regularisation": "regularisation:RegularisationPage",
    "captions": "captions:CaptionsPage",
    "model": "base_model:BaseModelPage",
    "settings": "settings:SettingsPage",
    "review": "review:ReviewPage",
    "training": "training:TrainingPage",
    "results": "results:ResultsPage",
}
"""Step to its screen, as module in `lora_tui.screens` and class."""


class Pages:
    """The screens of one open project in `app`."""

    def __init__(self, app: App[Any], path: Path) -> None:
        """Opens the project. Only while the app runs. Raises UserError as `Wizard` does."""
        self.app = app
        self._loop, self._context = asyncio.get_running_loop(), contextvars.copy_context()
        self._built: dict[StepName, WizardPage] = {}
        self._awaited: set[Show] = set()  # what is about to be done
        self.shown: StepName | None = None
        self.wizard = Wizard(path, lambda: self._soon(_show_all), lambda: self._soon(_show_how_far))
        self._timer = app.set_interval(TICK_SECONDS, self.wizard.tick)

    def page(self, step: StepName) -> WizardPage:
        """The screen of a step."""
        if step not in self._built:
            module, _, name = PAGES[step].partition(":")
            made = getattr(import_module(f"lora_tui.screens.{module}"), name)(self)
            self.app.install_screen(made, f"{id(self)}-{step}")  # so that it stays when another one is shown
            self._built[step] = made
        return self._built[step]

    def go(self, step: StepName) -> None:
        """Show a step in place of the one that is shown, or over what is."""
        from lora_tui.screens.wizard_page import WizardPage

        self.wizard.leave_at(step)
        self.shown = step
        page = self.page(step)
        if page in self.app.screen_stack:
            while self.app.screen is not page:
                self.app.pop_screen()
            return
        while len(self.app.screen_stack) > 1 and not isinstance(self.app.screen, WizardPage):
            if not any(isinstance(screen, WizardPage) for screen in self.app.screen_stack):
                break
            self.app.pop_screen()
        if isinstance(self.app.screen, WizardPage):
            self.app.switch_screen(page)
        else:
            self.app.push_screen(page)

    def would_be_lost(self) -> str:
        """What is kept nowhere but in a screen, in words; "" where nothing is."""
        return next(filter(None, (page.would_be_lost() for page in self._built.values())), "")

    def leave(self) -> None:
        """The app is being left: note down where, which screens that are taken down could not."""
        if self.shown in self._built:
            self._built[self.shown].keep_place()
        self.wizard.draft.leave()

    def close(self) -> None:
        """Forget the screens; the project is saved anyway."""
        self.leave()
        self._timer.stop()
        for page in self._built.values():
            with contextlib.suppress(Exception):
                self.app.uninstall_screen(page)
        self._built.clear()

    def _soon(self, show: Show) -> None:
        """From any thread: have the page that is in sight show what is new; many changes at once are shown once."""
        if show not in self._awaited:
            self._awaited.add(show)
            with contextlib.suppress(RuntimeError):  # the app has left
                self._loop.call_soon_threadsafe(self._do, show, context=self._context)

    def _do(self, show: Show) -> None:
        self._awaited.discard(show)
        from textual.css.query import NoMatches

        from lora_tui.screens.wizard_page import WizardPage

        page = self.app.screen  # also one that a step has opened over itself
        if isinstance(page, WizardPage) and page.pages is self and page.is_current and page.is_attached:
            with contextlib.suppress(NoMatches):  # it is being taken down
                show(page)


def _show_all(page: WizardPage) -> None:
    page.show_all()


def _show_how_far(page: WizardPage) -> None:
    """How far a check is stands in one line; the rest of the page is as it was."""
    with contextlib.suppress(NoMatches):  # it is being taken down
        page.show_status()
