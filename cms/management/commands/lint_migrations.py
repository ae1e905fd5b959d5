"""The command `manage.py lint-migrations`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from cms.management.base import as_text, command

if TYPE_CHECKING:
    from flask import Flask

    from cms.database.lint.report import LintReport


@dataclass(frozen=True)
class Shown:
    """A report in another form than the usual text."""

    report: LintReport
    form: str

    @property
    def exit_code(self) -> int:
        return self.report.exit_code

    def __str__(self) -> str:
        if self.form == "json":
            return as_text(self.report, as_json=True)
        lines = [
            f"::error file={found.file},line={found.line},title={found.rule}::{escaped(f'{found.text}; {found.hint}')}"
            for found in self.report.findings
        ]
        return "\n".join([*lines, *(f"::warning::not checked: {escaped(line)}" for line in self.report.unchecked)])


def escaped(text: str) -> str:
    """Return text as GitHub's workflow commands want it."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


@command
@click.option("--all", "everything", is_flag=True, help="Look at the whole history.")
@click.option("--since", metavar="REV", help="Look at the revisions after this one.")
@click.option("--format", "form", type=click.Choice(["text", "json", "github"]), default="text", show_default=True)
def lint_migrations(app: Flask, *, everything: bool, since: str | None, form: str) -> LintReport | Shown:
    """Look for what would hurt about revisions that are new; exit code 3 if there is something."""
    from cms.database.lint.report import lint_migrations as lint
    from cms.database.target import Target

    if everything and since:
        raise click.UsageError("choose one of --all and --since")
    report = lint(Target.of(app.config), everything=everything, since=since)
    return report if form == "text" else Shown(report, form)
