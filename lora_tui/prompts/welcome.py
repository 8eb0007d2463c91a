"""The beginning by prompts: a project that is known, a new one, any folder, or the demo."""

from __future__ import annotations

import sys
from pathlib import Path

from engine.plan.demo import DEFAULT_FOLDER, prepare
from engine.plan.errors import UserError, plural
from engine.plan.trigger import judge
from lora_tui import wish as wishes
from lora_tui.aside import or_error
from lora_tui.explanations import ABOUT
from lora_tui.known_projects import known_projects
from lora_tui.paths import clean
from lora_tui.prompts.talk import BackError, LeaveError, Talk, number_in
from lora_tui.prompts.walk import Walk, open_project

SHOWN = 12
LEFT, INTERRUPTED = 0, 130
QUESTIONS = (
    ("trigger", "trigger", "Trigger word"),
    ("class", "class_name", "Class"),
    ("where", "where", "Folder of the project"),
    ("images", "images", "Folder with your pictures"),
    ("link", "link", "copy or link"),
    ("repeats", "repeats", "Repeats per picture"),
    ("reg", "reg", "Folder with regularisation pictures"),
)
"""(key of its explanation, field of a Wish, label)."""
OPTIONAL = ("images", "reg")


def run(project: Path | None) -> int:
    """Talk over stdin and stdout until somebody leaves; the exit code."""
    talk = Talk(sys.stdin.buffer, sys.stdout)
    walk: Walk | None = None
    try:
        talk.say("lora-tui trains a LoRA for Stable Diffusion XL from a folder of pictures.")
        while True:
            walk = open_project(project, talk) if project is not None else None
            if walk is not None:
                walk.run()
            project = _choose(talk)
    except LeaveError:
        talk.say(_last_words(walk))
        return LEFT
    except KeyboardInterrupt:
        talk.say()
        talk.say(_last_words(walk))
        return INTERRUPTED


def _last_words(walk: Walk | None) -> str:
    lost = walk is not None and walk.wizard.draft.unkept
    return f"{'Your last changes are lost.' if lost else 'Everything is saved.'} A training goes on."


def _choose(talk: Talk) -> Path:
    """Which project to open."""
    known = [found for found in known_projects() if found.changed][:SHOWN]
    for number, found in enumerate(known, 1):
        runs = plural(found.runs, "training") if found.runs else "not trained yet"
        busy = ", one is at work" if found.at_work is not None else ""
        talk.say(f"{number}. {found.path.name}: {runs}{busy}, {found.path}")
    talk.say("new: make a project from a folder of pictures.")
    talk.say("open: open a project, or a folder made for kohya's scripts.")
    talk.say("demo: a small project with a practice model; needs no GPU.")
    while True:
        answer = talk.prompt("A number or a word, or q to leave:" if known else "new, open or demo, or q to leave:")
        word, _, rest = answer.partition(" ")
        if (chosen := number_in(word)) is not None and 1 <= chosen <= len(known):
            return known[chosen - 1].path
        try:
            chosen_path = _begin(talk, word.casefold(), rest)
        except BackError:
            talk.say("Back.")
            continue
        if chosen_path is not None:
            return chosen_path


def _begin(talk: Talk, word: str, rest: str) -> Path | None:
    """Obey a word of the beginning; the project that is to be opened then, or None for none."""
    if word == "new":
        return _new(talk)
    if word == "open":
        text = clean(rest or talk.ask("Which folder?"))
        return Path(text) if text else None
    if word == "demo":
        try:
            return prepare(Path.cwd() / DEFAULT_FOLDER).path
        except UserError as error:
            talk.say(f"Error: {error}")
            return None
    talk.say("That is none of these.")
    return None


def _new(talk: Talk) -> Path | None:
    """Ask for all that a project needs, and make it. What was answered is kept if that is not done today.

    Raises BackError from the first question; from the others one goes back to the one before.
    """
    wish = wishes.remembered()
    talk.say("A new project. Your own files stay as they are. What you answer is kept if you do not finish today.")
    at = 0
    while at < len(QUESTIONS):
        key, field, label = QUESTIONS[at]
        talk.explain(ABOUT[key])
        now = wish.folder if field == "where" else getattr(wish, field)
        try:
            answer = talk.ask(label, f"takes {now}" if now else "leaves it for later" if key in OPTIONAL else None)
        except BackError:
            if at == 0:
                raise
            at -= 1
            continue
        text = clean(answer) if key in ("where", "images", "reg") else answer
        if key == "link":
            text = "link" if answer.casefold() == "link" else "copy" if answer else wish.link
        if text:
            setattr(wish, field, text)
            wishes.remember(wish)
        wrong, why = wish.looked_over()
        if wrong == key:
            talk.say(f"Error: {why}")
            if key in (*OPTIONAL, "where"):
                setattr(wish, field, "")
            continue
        if key in ("trigger", "class") and (warned := judge(wish.trigger, wish.class_name)) is not None:
            talk.say(f"Warning: {warned}")
        at += 1
    talk.say("Making the project.")
    made = or_error(lambda: wishes.make(wish), "The project could not be made")
    if isinstance(made, UserError):
        talk.say(f"Error: {made}")
        return None
    wishes.forget()
    return made
