"""The command `manage.py check`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from cms.management.base import command
from cms.words import counted

if TYPE_CHECKING:
    from flask import Flask

    from cms.checks.messages import Problem
    from cms.checks.registry import Findings

FOUND = 3


@dataclass(frozen=True)
class CheckReport:
    """Everything that was found, which checks looked, and which could not."""

    problems: tuple[Problem, ...]
    checked: tuple[str, ...]
    unchecked: tuple[str, ...]
    failed: bool

    @property
    def exit_code(self) -> int:
        return FOUND if self.failed else 0

    def __str__(self) -> str:
        lines = [str(problem) for problem in self.problems]
        if self.unchecked:
            lines.append(f"not checked, since what they look at could not be read: {', '.join(self.unchecked)}")
        found = counted(len(self.problems), "problem") if self.problems else "no problems"
        return "\n".join([*lines, f"{found} found by {counted(len(self.checked), 'check')}"])


@command
@click.option("--tag", "tags", multiple=True, help="Run only the checks of this tag; may be repeated.")
@click.option("--deploy", is_flag=True, help="Also check what matters on a production site.")
@click.option("--fail-level", type=click.Choice(["info", "warning", "error"]), default="warning", show_default=True)
def check(app: Flask, *, tags: tuple[str, ...], deploy: bool, fail_level: str) -> CheckReport:
    """Look for problems and change nothing; exit code 3 if there is one."""
    from cms.checks.messages import Level
    from cms.checks.registry import registry
    from cms.database import backup_checks as _backups  # noqa: F401 - importing registers them
    from cms.database import checks as _database  # noqa: F401
    from cms.database import schema_checks as _schema  # noqa: F401
    from cms.web import checks as _web  # noqa: F401

    unknown = set(tags) - set(registry.tags)
    if unknown:
        raise click.UsageError(f"there is no tag {', '.join(sorted(unknown))}; choose from {', '.join(registry.tags)}")
    early, found = look(app, tags or tuple(registry.tags), deploy=deploy)
    problems = (*early, *found.problems)
    failed = any(problem.level.rank >= Level(fail_level).rank for problem in problems) or bool(found.unchecked)
    return CheckReport(problems, found.checked, found.unchecked, failed)


def look(app: Flask, tags: tuple[str, ...], *, deploy: bool) -> tuple[list[Problem], Findings]:
    """Run the checks with whatever can be looked at; what cannot be reached is itself a finding."""
    from cms.checks.messages import error
    from cms.checks.registry import registry
    from cms.database.engines import engine_for
    from cms.database.engines.base import connecting
    from cms.database.errors import DatabaseUnreachable, HistoryBroken
    from cms.database.history import load_scripts
    from cms.database.schema import Base
    from cms.database.target import Target

    target = Target.of(app.config)
    given: dict[str, Any] = {"config": app.extensions["settings"], "target": target, "metadata": Base.metadata}
    early: list[Problem] = []
    try:
        given["scripts"] = load_scripts(target)
    except HistoryBroken as broken:
        early.append(error("database.E005", f"{broken.what}: {broken.why}", hint=str(broken.hint)))
    if "connection" not in registry.needs(tags, deploy=deploy):
        return early, registry.run(tags, deploy=deploy, given=given)
    try:
        with connecting(target, engine_for(target).open_tool(target)) as connection:
            return early, registry.run(tags, deploy=deploy, given={**given, "connection": connection})
    except DatabaseUnreachable as unreachable:
        early.append(error("database.E002", f"{unreachable.what}: {unreachable.why}", hint=str(unreachable.hint)))
        return early, registry.run(tags, deploy=deploy, given=given)
