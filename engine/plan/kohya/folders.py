"""The folders of a project as sd-scripts' dataset file wants them, and what that file cannot say of them."""

from __future__ import annotations

from engine.plan.errors import Finding, few, plural
from engine.plan.folders import KINDS, find_folders
from engine.plan.kohya.exporting import Subset
from engine.plan.project import Project


def subsets(project: Project) -> tuple[list[Subset], list[Finding]]:
    """The folders that are trained, and findings: single pictures cannot be left out there."""
    found: list[Subset] = []
    for kind, parent in zip(KINDS, (project.image_dir, project.reg_dir), strict=True):
        for folder in find_folders(parent, kind, project.repeats)[0]:
            found.append(Subset(folder.path, folder.repeats, folder.class_words, kind == "reg"))
    findings = []
    if project.left_out:
        findings.append(
            Finding(
                "not-in-sd-scripts",
                f"{plural(len(project.left_out), 'picture')} that you left out would be trained by sd-scripts: "
                f"{few(project.left_out)}.",
                "Move them out of their folders before you train there.",
            )
        )
    return found, findings
