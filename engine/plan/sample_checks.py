"""Judgements on the samples that are drawn while training: prompts that cannot be read, and what they leave out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.plan import prompt_files, sample_prompts
from engine.plan.captions import has_word
from engine.plan.errors import Finding, UserError, either
from engine.plan.project import Project
from engine.plan.remedy import set_line
from engine.plan.samplers import DEFAULT, find, require
from engine.plan.settings import Settings


def check_samples(settings: Settings, project: Project, triggers: Sequence[str]) -> Iterator[Finding]:
    """What is worth saying about the prompts and samplers of the samples. triggers: those of the subjects."""
    try:
        lines = prompt_files.expanded(settings.sample_prompts, project.path)
    except UserError as error:
        yield Finding(error.code, error.message, error.hint, level="error", option="sample_prompts", overridable=False)
        return
    yield from _samplers(settings, lines)
    if triggers and lines and not any(has_word(line, trigger) for line in lines for trigger in triggers):
        named = f"{'a trigger word,' if len(triggers) > 1 else 'the trigger word'} {either(triggers)}"
        yield Finding(
            "sample-without-trigger",
            f"No sample prompt contains {named}, so samples will not show what is learnt.",
            f'Begin one with "{triggers[0]}, ".',
        )


def _samplers(settings: Settings, lines: tuple[str, ...]) -> Iterator[Finding]:
    """Those that cannot be used here. Training would go on without samples, so it is worth a warning before."""
    usual = sample_prompts.SamplePrompt("", 64, 64, 0, sampler=settings.sample_sampler)
    used = {sample_prompts.parse(line, usual).sampler for line in lines} or {settings.sample_sampler}
    for name in sorted(used):
        try:
            require(find(name))
        except UserError as error:
            hint = f"{error.hint}; until then there are no samples."
            if name == settings.sample_sampler:
                yield Finding(
                    error.code,
                    error.message,
                    f"{set_line('sample_sampler', chr(34) + DEFAULT + chr(34))} (or install it)",
                    option="sample_sampler",
                    value=DEFAULT,
                )
            else:
                yield Finding(error.code, error.message, hint)
