"""Checks of the database: can it be reached, can we work on it, does it stand where the code expects it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from cms.checks.messages import Problem, error, info, warning
from cms.checks.registry import register
from cms.database.authoring import is_other_default
from cms.database.engines import engine_for
from cms.database.environment import is_ours
from cms.database.errors import HistoryBroken, RevisionUnknown
from cms.database.history import get_head, list_pending, read_current, read_version_rows
from cms.database.identify import explain_unknown
from cms.database.journal import read_accepted
from cms.database.maintenance import find_maintenance
from cms.database.target import Target
from cms.words import counted

AT_MOST_SHOWN = 10


@register("database")
def check_maintenance(target: Target) -> list[Problem]:
    """database.W014: maintenance mode is on; database.E015: a run that died left it on."""
    found = find_maintenance(target.maintenance_file)
    if found is None:
        return []
    if found.abandoned:
        cure = "run `python manage.py backup-and-migrate` again, which ends it, or `python manage.py maintenance off`"
        return [
            error(
                "database.E015",
                "every page answers 503, and the run that closed the site died",
                why=str(found),
                hint=cure,
            )
        ]
    cure = "when the work is done: `python manage.py maintenance off`"
    return [warning("database.W014", "every page answers 503: maintenance mode is on", why=str(found), hint=cure)]


@register("history")
def check_single_head(scripts: ScriptDirectory) -> list[Problem]:
    """database.E001: the history has two heads, so nobody can say which revision is the newest."""
    try:
        get_head(scripts)
    except HistoryBroken as broken:
        return [error("database.E001", broken.what, why=broken.why, hint=str(broken.hint))]
    return []


@register("database")
def check_revision_known(target: Target, connection: sa.Connection, scripts: ScriptDirectory) -> list[Problem]:
    """database.E004: the database names a revision that no file has, or several."""
    try:
        read_current(connection, scripts)
    except RevisionUnknown:
        unknown = explain_unknown(target, connection, scripts, read_version_rows(connection)[0])
        return [error("database.E004", unknown.what, why=unknown.why, hint=str(unknown.hint))]
    except HistoryBroken as several:
        return [error("database.E004", several.what, why=several.why, hint=str(several.hint))]
    return []


@register("database")
def check_revision_present(target: Target, connection: sa.Connection, scripts: ScriptDirectory) -> list[Problem]:
    """database.W002: the database has no revision; it is empty, or was made without this history."""
    current = find_current(connection, scripts)
    if current is not None or not is_readable(connection, scripts):
        return []
    if engine_for(target).list_tables(connection):
        cure = "run `python manage.py stamp-existing-database`, which finds out where it stands"
        return [warning("database.W002", f"{target.name} holds tables and no revision", hint=cure)]
    return [warning("database.W002", f"{target.name} is empty", hint="run `python manage.py backup-and-migrate`")]


@register("database")
def check_migrations_applied(connection: sa.Connection, scripts: ScriptDirectory) -> list[Problem]:
    """database.W003: the code expects a newer schema than the database has."""
    current = find_current(connection, scripts)
    if current is None or len(scripts.get_heads()) != 1:
        return []
    pending = list_pending(scripts, current)
    if not pending:
        return []
    names = ", ".join(f"{revision.id} ({revision.title})" for revision in pending[:AT_MOST_SHOWN])
    cure = "run `python manage.py backup-and-migrate --dry-run`, then without --dry-run"
    return [warning("database.W003", f"{counted(len(pending), 'revision')} not applied: {names}", hint=cure)]


@register("database")
def check_models_match(connection: sa.Connection, scripts: ScriptDirectory, metadata: sa.MetaData) -> list[Problem]:
    """database.W004: at the newest revision, the schema still differs from the models, beside what was accepted."""
    if len(scripts.get_heads()) != 1 or find_current(connection, scripts) != get_head(scripts):
        return []
    options = {"compare_type": True, "compare_server_default": is_other_default, "include_name": is_ours}
    context = MigrationContext.configure(connection, opts={**options, "target_metadata": metadata})
    accepted = read_accepted(connection)
    differences = [each for each in compare_metadata(context, metadata) if not is_accepted(each, accepted)]
    found = [describe(difference) for difference in differences]
    if not found:
        return []
    shown = "; ".join(found[:AT_MOST_SHOWN])
    cure = "a developer runs `flask db migrate`; if nobody changed the models, somebody changed the database by hand"
    return [
        warning("database.W004", f"{counted(len(found), 'difference')} between models and schema: {shown}", hint=cure)
    ]


def is_accepted(difference: object, accepted: Collection[str]) -> bool:
    """Return whether one of Alembic's differences, or each one of a list, is about a thing accepted at adoption."""
    if isinstance(difference, list):
        return all(is_accepted(each, accepted) for each in difference)
    place = place_of(difference)
    return any(f" {place} " in f"{line} " for line in accepted)


def place_of(difference: Any) -> str:  # Any: Alembic's tuples, each kind of another form
    """Return where a difference is, as ``Fact.place`` says it."""
    kind = difference[0]
    if kind.endswith("_column"):
        return f"{difference[2]}.{difference[3].name}"
    if kind.startswith("modify_"):
        return f"{difference[2]}.{difference[3]}"
    thing = difference[1]
    return f"table {thing.name}" if kind.endswith("_table") else f"{thing.name} on {thing.table.name}"


def describe(difference: object) -> str:
    """Return one of Alembic's difference tuples in words; changes to one column come as a list of tuples."""
    if isinstance(difference, list):
        return ", ".join(describe(each) for each in difference)
    if not isinstance(difference, tuple):
        return str(difference)
    names = [
        str(getattr(part, "name", part)) for part in difference[1:] if part is not None and not isinstance(part, dict)
    ]
    return " ".join([str(difference[0]).replace("_", " "), *names])


def find_current(connection: sa.Connection, scripts: ScriptDirectory) -> str | None:
    """Return the database's revision, or None if it has none that we know."""
    try:
        return read_current(connection, scripts)
    except (RevisionUnknown, HistoryBroken):
        return None


def is_readable(connection: sa.Connection, scripts: ScriptDirectory) -> bool:
    rows = read_version_rows(connection)
    return not rows or find_current(connection, scripts) is not None


@register("schema")
def check_journal_mode(target: Target, connection: sa.Connection) -> list[Problem]:
    """database.I001: SQLite without write-ahead log lets readers and writers wait for each other."""
    if target.engine_name != "sqlite" or connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal":
        return []
    cure = "run `python manage.py backup-and-migrate`, which switches it on"
    return [info("database.I001", f"{target.name} does not use a write-ahead log", hint=cure)]
