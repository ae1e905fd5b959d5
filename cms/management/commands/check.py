"""The command `manage.py check`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from cms.management.base import command
from cms.words import counted

if TYPE_CHECKING:
    from flask import Flask

    from cms.checks.messages import Problem
    from cms.checks.registry import Findings, Measured, Unchecked

FOUND = 3


@dataclass(frozen=True)
class CheckReport:
    """Everything that was found, which checks looked, and which could not, and why."""

    problems: tuple[Problem, ...]
    checked: tuple[Measured, ...]
    unchecked: tuple[Unchecked, ...]
    failed: bool

    @property
    def exit_code(self) -> int:
        return FOUND if self.failed else 0

    def __str__(self) -> str:
        found = counted(len(self.problems), "problem") if self.problems else "no problems"
        last = f"{found} found by {counted(len(self.checked), 'check')}"
        return "\n".join([*(str(problem) for problem in self.problems), *self.looked(), last])

    def looked(self) -> list[str]:
        """Return in lines what was not looked at: one for each reason."""
        return [
            f"not checked, since {why}: {', '.join(blind.check for blind in self.unchecked if blind.why == why)}"
            for why in dict.fromkeys(blind.why for blind in self.unchecked)
        ]


class DetailedReport(CheckReport):
    """The same, and a line for each check: what it measured, or why it could not."""

    def looked(self) -> list[str]:
        return [f"measured: {looked.finds}" for looked in self.checked] + [
            f"not checked: {blind.finds} ({blind.why})" for blind in self.unchecked
        ]


@command
@click.option("--tag", "tags", multiple=True, help="Run only the checks of this tag; may be repeated.")
@click.option("--deploy", is_flag=True, help="Also check what matters on a production site.")
@click.option("--fail-level", type=click.Choice(["info", "warning", "error"]), default="warning", show_default=True)
@click.option("--verbose", is_flag=True, help="Also say what was measured and found to be well.")
def check(app: Flask, *, tags: tuple[str, ...], deploy: bool, fail_level: str, verbose: bool) -> CheckReport:
    """Look for problems and change nothing; exit code 3 if there is one."""
    from cms.accounts import checks as _accounts  # noqa: F401
    from cms.blogs import checks as _search  # noqa: F401
    from cms.checks.messages import Level
    from cms.checks.registry import registry
    from cms.database import backup_checks as _backups  # noqa: F401 - importing registers them
    from cms.database import checks as _database  # noqa: F401
    from cms.database import history_checks as _history  # noqa: F401
    from cms.database import schema_checks as _schema  # noqa: F401
    from cms.database import server_checks as _server  # noqa: F401
    from cms.jobs import checks as _jobs  # noqa: F401
    from cms.mail import checks as _mail  # noqa: F401
    from cms.web import answer_checks as _answers  # noqa: F401
    from cms.web import checks as _web  # noqa: F401

    unknown = set(tags) - set(registry.tags)
    if unknown:
        raise click.UsageError(f"there is no tag {', '.join(sorted(unknown))}; choose from {', '.join(registry.tags)}")
    early, found = look(app, tags or tuple(registry.tags), deploy=deploy)
    problems = (*early, *found.problems)
    failed = any(problem.level.rank >= Level(fail_level).rank for problem in problems) or bool(found.unchecked)
    report = DetailedReport if verbose else CheckReport
    return report(problems, found.checked, found.unchecked, failed)


def look(app: Flask, tags: tuple[str, ...], *, deploy: bool) -> tuple[list[Problem], Findings]:
    """Run the checks with whatever can be looked at; what cannot be reached is itself a finding."""
    from cms.checks.messages import error
    from cms.checks.registry import registry
    from cms.database.engines import engine_for
    from cms.database.errors import DatabaseUnreachable, DatabaseUnsupported, HistoryBroken
    from cms.database.history import load_scripts
    from cms.database.looking import explaining, looking_at
    from cms.database.schema import Base
    from cms.database.target import Target

    target = Target.of(app.config).in_a_hurry()
    given: dict[str, Any] = {"config": app.extensions["settings"], "target": target, "metadata": Base.metadata}
    given["app"] = app
    lacking: dict[str, str] = {}
    early: list[Problem] = []
    try:
        given["scripts"] = load_scripts(target)
    except HistoryBroken as broken:
        early.append(error("database.E005", broken.what, why=broken.why, hint=str(broken.hint)))
        lacking["scripts"] = broken.what
    if "connection" not in registry.needs(tags, deploy=deploy):
        return early, registry.run(tags, deploy=deploy, given=given, lacking=lacking)
    try:
        with looking_at(target) as connection:
            engine_for(target).describe_server(connection)
            given["connection"] = connection
            lacking |= why_no_schema(given)
            looking = partial(explaining, connection)
            return early, registry.run(tags, deploy=deploy, given=given, lacking=lacking, looking=looking)
    except DatabaseUnreachable as unreachable:
        early.append(error("database.E002", unreachable.what, why=unreachable.why, hint=str(unreachable.hint)))
        lacking["connection"] = "the database cannot be reached"
    except DatabaseUnsupported as old:
        early.append(error("database.E003", old.what, why=old.why, hint=str(old.hint)))
        lacking["connection"] = old.what
    given.pop("connection", None)
    return early, registry.run(tags, deploy=deploy, given=given, lacking=lacking)


def why_no_schema(given: dict[str, Any]) -> dict[str, str]:
    """Return why checks of the tag "schema" have nothing to compare with, if they have not."""
    from cms.checks.registry import CannotLook
    from cms.database.checks import find_current
    from cms.database.looking import explaining

    try:
        with explaining(given["connection"]):
            if "scripts" in given and find_current(given["connection"], given["scripts"]) is None:
                return {"schema": "the database is at no revision of this history"}
    except CannotLook as unable:
        return {"schema": str(unable)}
    return {}
