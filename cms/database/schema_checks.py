"""Checks of the live schema: is it what the history says, is it whole, would something block an upgrade now."""

from __future__ import annotations

import re

import sqlalchemy as sa
from alembic.script import ScriptDirectory

from cms.checks.messages import Problem, error, info, warning
from cms.checks.registry import register
from cms.database.catalog_postgresql import list_unusable_tables
from cms.database.checks import AT_MOST_SHOWN, find_current
from cms.database.differences import compare
from cms.database.engines import engine_for
from cms.database.errors import DatabaseBusy, DatabaseUnreachable, DatabaseUnsupported, MigrationFailed
from cms.database.expected import read_expected
from cms.database.fingerprint import is_counted, read_fingerprint
from cms.database.journal import read_accepted
from cms.database.target import Target
from cms.words import counted

OLD_TRANSACTION_S = 60
REBUILT = re.compile(r"_cc(?:new|old)\d*(?=\"?$)")


@register("schema")
def check_drift(target: Target, connection: sa.Connection, scripts: ScriptDirectory) -> list[Problem]:
    """database.W005: the schema is not what the history says at its own revision. database.I011: not checked, and why.
    database.I012: differences that were accepted. database.W016: those that a pending revision cannot carry.

    Under the deploy lock, so that what a running upgrade has half done is not reported; it is not waited for. The
    history is run in a scratch place where its files are not those that the expected fingerprints were made of.
    """
    if find_current(connection, scripts) is None or len(scripts.get_heads()) != 1:
        return []
    try:
        with engine_for(target).deploy_lock(target.in_a_hurry(), lambda _line: None):
            return compare_with_history(target, connection, scripts)
    except DatabaseBusy:
        cure = "run the check again when the upgrade, backup or restore has ended"
        return [info("database.I011", "drift was not checked: another run works on the database", hint=cure)]
    except (DatabaseUnsupported, DatabaseUnreachable, MigrationFailed) as unable:
        what = f"drift was not checked: {unable.why or unable.what}"
        return [info("database.I011", what, hint=unable.hint or "look at that revision")]


def compare_with_history(target: Target, connection: sa.Connection, scripts: ScriptDirectory) -> list[Problem]:
    current = find_current(connection, scripts)
    if current is None:
        return []
    expected = read_expected(target, scripts)
    later = list(expected.values())[list(expected).index(current) + 1 :]
    difference = compare(current, read_fingerprint(connection), expected[current], later)
    known = read_accepted(connection)
    accepted = [line for line in difference.lines if line in known]
    drift = [line for line in difference.lines if line not in known]
    in_the_way = [
        text
        for word, text, facts in difference.entries()
        if f"{word} {text}" in known and facts & set(difference.blocking)
    ]
    return say_drift(current, drift) + say_accepted(accepted) + say_in_the_way(in_the_way)


def say_in_the_way(things: list[str]) -> list[Problem]:
    """An accepted thing that the revisions of that day could carry may be in the way of one that was written since."""
    if not things:
        return []
    what = f"pending revisions cannot carry {counted(len(things), 'difference')} that were accepted: "
    cure = "rename it, or make it equal, before the upgrade; the rehearsal of `backup-and-migrate` would stop at it"
    why = "a revision that was written since makes or changes a thing of that name"
    return [warning("database.W016", what + "; ".join(things[:AT_MOST_SHOWN]), why=why, hint=cure)]


def say_drift(current: str, lines: list[str]) -> list[Problem]:
    if not lines:
        return []
    what = f"{counted(len(lines), 'difference')} between the schema and revision {current}: "
    cure = "somebody changed the database by hand; undo that, or make it a revision with `flask db migrate`"
    return [warning("database.W005", what + "; ".join(lines[:AT_MOST_SHOWN]), hint=cure)]


def say_accepted(lines: list[str]) -> list[Problem]:
    if not lines:
        return []
    what = f"{counted(len(lines), 'difference')} to the history, accepted when the database was adopted: "
    return [
        info("database.I012", what + "; ".join(lines[:AT_MOST_SHOWN]), hint="nothing to do, as long as all is well")
    ]


@register("schema", only="postgresql")
def check_invalid_indexes(connection: sa.Connection) -> list[Problem]:
    """database.E006: an index that a failed concurrent build left: it is not used, and does not keep values unique."""
    query = "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid ORDER BY 1"
    return [
        error("database.E006", f"the index {name} is invalid", why=why_invalid(name), hint=cure_of(name))
        for name in connection.exec_driver_sql(query).scalars()
    ]


def why_invalid(index: str) -> str:
    """Return what was interrupted, by the name that PostgreSQL gave the index."""
    if rebuilt := REBUILT.search(index):
        return (
            f"REINDEX CONCURRENTLY was interrupted; the index that it was to replace, {index[: rebuilt.start()]}, works"
        )
    return "CREATE INDEX CONCURRENTLY failed or was interrupted"


def cure_of(index: str) -> str:
    again = "" if REBUILT.search(index) else ", then build it again in a revision"
    return f"if nobody builds it at this moment, drop it: DROP INDEX CONCURRENTLY {index}{again}"


@register("schema")
def check_leftovers(connection: sa.Connection) -> list[Problem]:
    """database.W007: what a failed migration left: a half-built table."""
    tables = [name for name in sa.inspect(connection).get_table_names() if name.startswith("_alembic_tmp_")]
    cure = "if no migration is running, look whether it holds rows that you need, then drop it"
    return [warning("database.W007", f"the table {name} is left of a failed migration", hint=cure) for name in tables]


@register("schema", only="postgresql")
def check_validated(connection: sa.Connection) -> list[Problem]:
    """database.W007: a constraint that was never validated: rows from before may break it."""
    query = "SELECT conrelid::regclass::text, conname FROM pg_constraint WHERE NOT convalidated ORDER BY 1, 2"
    cure = 'ALTER TABLE {} VALIDATE CONSTRAINT "{}" checks the rows that were there before'
    return [
        warning("database.W007", f"the constraint {name} of {table} was never validated", hint=cure.format(table, name))
        for table, name in connection.exec_driver_sql(query)
    ]


@register("schema")
def check_foreign_keys_indexed(connection: sa.Connection) -> list[Problem]:
    """database.W008: a foreign key without an index, so that each delete in its parent reads the whole table."""
    inspector = sa.inspect(connection)
    problems = []
    for table in filter(is_counted, inspector.get_table_names()):
        indexed = [list(index["column_names"]) for index in inspector.get_indexes(table)]
        indexed += [list(key["column_names"]) for key in inspector.get_unique_constraints(table)]
        indexed.append(list(inspector.get_pk_constraint(table)["constrained_columns"]))
        indexed += [list(unique["column_names"]) for unique in inspector.get_unique_constraints(table)]
        for key in inspector.get_foreign_keys(table):
            columns = key["constrained_columns"]
            if not any(names[: len(columns)] == columns for names in indexed):
                what = f"no index begins with {', '.join(columns)} of {table}, a foreign key"
                problems.append(warning("database.W008", what, hint="add one in a revision of its own"))
    return problems


@register("schema", only="postgresql")
def check_old_transactions(connection: sa.Connection) -> list[Problem]:
    """database.W009: a transaction is open for so long that an upgrade would wait for it."""
    query = f"""
        SELECT pid, coalesce(nullif(application_name, ''), 'unnamed'), extract(epoch FROM now() - xact_start)::int
        FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()
          AND xact_start < now() - interval '{OLD_TRANSACTION_S} seconds' ORDER BY xact_start"""  # noqa: S608
    cure = "let it end before an upgrade, or end it: SELECT pg_terminate_backend({})"
    return [
        warning(
            "database.W009", f"process {pid} ({name}) holds a transaction open for {age_s} s", hint=cure.format(pid)
        )
        for pid, name, age_s in connection.exec_driver_sql(query)
    ]


@register("schema", only="postgresql")
def check_usable(target: Target, connection: sa.Connection) -> list[Problem]:
    """database.E013: a table that the site's role may not read and write, so that pages and upgrades fail."""
    tables = list_unusable_tables(connection)
    if not tables:
        return []
    names = ", ".join(tables)
    what = f"{target.url.username} may not read and write {counted(len(tables), 'table')}: {names}"
    cure = f"as their owner: GRANT SELECT, INSERT, UPDATE, DELETE ON {names} TO {target.url.username}"
    return [error("database.E013", what, hint=cure)]


@register("schema", deploy=True, only="postgresql")
def check_role(connection: sa.Connection) -> list[Problem]:
    """database.W010: the site's role is a superuser, so a hole in the site is a hole in the server."""
    query = "SELECT rolname FROM pg_roles WHERE rolname = current_user AND rolsuper"
    name = connection.exec_driver_sql(query).scalar()
    if name is None:
        return []
    cure = "make a role of its own for the site: CREATE ROLE cms LOGIN CREATEDB, and let it own the database"
    return [warning("database.W010", f"the role {name} is a superuser", hint=cure)]
