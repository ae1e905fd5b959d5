"""The command `manage.py check`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from cms.management.base import command

if TYPE_CHECKING:
    from flask import Flask

    from cms.checks.messages import Problem

FOUND = 3
LEVELS = {"info": 20, "warning": 30, "error": 40}


@dataclass(frozen=True)
class CheckReport:
    """Everything that was found, and which checks could not look."""

    problems: tuple[Problem, ...]
    unchecked: tuple[str, ...]
    failed: bool

    @property
    def exit_code(self) -> int:
        return FOUND if self.failed else 0

    def __str__(self) -> str:
        lines = [str(problem) for problem in self.problems]
        if self.unchecked:
            lines.append(f"not checked, since the database did not answer: {', '.join(self.unchecked)}")
        count = len(self.problems)
        return "\n".join(
            [*lines, f"{count} problem{'' if count == 1 else 's'} found" if count else "no problems found"]
        )


@command()
@click.option("--tag", "tags", multiple=True, help="Run only the checks of this tag; may be repeated.")
@click.option("--deploy", is_flag=True, help="Also check what matters on a production site.")
@click.option("--fail-level", type=click.Choice(list(LEVELS)), default="warning", show_default=True)
def check(app: Flask, *, tags: tuple[str, ...], deploy: bool, fail_level: str) -> CheckReport:
    """Look for problems and change nothing; exit code 3 if there is one."""
    from cms.checks.registry import registry
    from cms.database import checks as _database  # noqa: F401 - importing registers them
    from cms.web import checks as _web  # noqa: F401

    unknown = set(tags) - set(registry.tags)
    if unknown:
        raise click.UsageError(f"there is no tag {', '.join(sorted(unknown))}; choose from {', '.join(registry.tags)}")
    problems, unchecked = look(app, tags or tuple(registry.tags), deploy=deploy)
    worst = max((problem.level for problem in problems), default=0)
    return CheckReport(tuple(problems), tuple(unchecked), worst >= LEVELS[fail_level] or bool(unchecked))


def look(app: Flask, tags: tuple[str, ...], *, deploy: bool) -> tuple[list[Problem], list[str]]:
    """Run the checks with whatever can be looked at: a database that does not answer is itself a finding."""
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
    problems: list[Problem] = []
    try:
        given["scripts"] = load_scripts(target)
    except HistoryBroken as broken:
        problems.append(error("database.E005", f"{broken.what}: {broken.why}", hint=str(broken.hint)))
    try:
        engine = engine_for(target).open_tool(target).execution_options(sqlite_begin="DEFERRED")
        with connecting(target, engine) as connection:
            found, unchecked = registry.run(tags, deploy=deploy, given={**given, "connection": connection})
    except DatabaseUnreachable as unreachable:
        problems.append(error("database.E002", f"{unreachable.what}: {unreachable.why}", hint=str(unreachable.hint)))
        found, unchecked = registry.run(tags, deploy=deploy, given=given)
    return problems + found, unchecked
