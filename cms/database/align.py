"""Make a schema equal to a revision's, where that loses nothing: `stamp-existing-database --align`."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from alembic.script import ScriptDirectory
from sqlalchemy.exc import DBAPIError

from cms.database.align_postgresql import alter
from cms.database.align_sqlite import rebuild
from cms.database.attempts import is_lock_timeout, run_until_locks_are_had
from cms.database.differences import Difference, is_variant, mentions
from cms.database.engines.base import first_line
from cms.database.errors import DatabaseBusy, StampRefused
from cms.database.expected import run_history
from cms.database.facts import Fact
from cms.database.fingerprint import Fingerprint, read_fingerprint
from cms.database.progress import Say
from cms.database.scratch import scratch_sqlite
from cms.database.target import Target

DERIVED = frozenset({"index", "constraint"})


@dataclass(frozen=True)
class Alignment:
    """What would be run, and what stays as it is: tables, columns and views that are somebody's own."""

    statements: tuple[str, ...]
    left: Difference


def plan_alignment(
    connection: sa.Connection, scripts: ScriptDirectory, difference: Difference, expected: Fingerprint
) -> Alignment:
    """Return the SQL for the differences that can be carried. Reads only; never drops a column or a table."""
    own = tuple(fact for fact in difference.extra if is_own(fact, difference, expected))
    replaced = [fact for fact in difference.extra if fact not in own]
    left = Difference(difference.revision, (), own)
    if connection.dialect.name == "postgresql":
        return Alignment(tuple(alter(connection, difference.missing, replaced)), left)
    with scratch_sqlite() as model:
        next(revision for revision, _ in run_history(model, scripts) if revision == difference.revision)
        return Alignment(tuple(rebuild(connection, model, difference.missing, replaced)), left)


def is_own(fact: Fact, difference: Difference, expected: Fingerprint) -> bool:
    """Return whether a fact that the revision has not is somebody's data or work; an index of ours' columns is not."""
    if any(is_variant(planned, fact) for planned in difference.missing):
        return False
    if fact.kind not in DERIVED or fact.table not in {each.table for each in expected.facts}:
        return True
    return any(
        each.kind == "column" and each.table == fact.table and mentions(fact, each.name) for each in difference.extra
    )


def apply_alignment(target: Target, alignment: Alignment, expected: Fingerprint, *, say: Say) -> None:
    """Run the statements in one transaction, which is kept only if the schema is then as planned, and no row is lost.

    The deploy lock must be held. Raises StampRefused, DatabaseBusy; nothing has changed then.
    """

    def work(connection: sa.Connection) -> None:
        before = count_rows(connection, expected)
        for statement in alignment.statements:
            connection.exec_driver_sql(statement)
        refuse_other_schema(read_fingerprint(connection), alignment, expected)
        if (after := count_rows(connection, expected)) != before:
            raise refused(f"there were {before} rows before, and {after} after")
        connection.commit()

    try:
        run_until_locks_are_had(target, say, work)
    except DBAPIError as error:
        if is_lock_timeout(error):
            raise DatabaseBusy(
                f"{target.name} is in use, so its schema was not aligned",
                why=first_line(error),
                hint="end the session that holds the lock, or wait for it; nothing was stamped or changed",
            ) from error
        raise refused(first_line(error)) from error


def count_rows(connection: sa.Connection, expected: Fingerprint) -> dict[str, int]:
    quote = connection.dialect.identifier_preparer.quote
    tables = [fact.table for fact in expected.facts if fact.kind == "table"]
    return {
        table: connection.exec_driver_sql(f"SELECT count(*) FROM {quote(table)}").scalar_one()  # noqa: S608 - quoted
        for table in tables
    }


def refuse_other_schema(found: Fingerprint, alignment: Alignment, expected: Fingerprint) -> None:
    wrong = Difference("", expected.missing_from(found), found.missing_from(expected))
    unplanned = set(wrong.lines) - set(alignment.left.lines)
    if unplanned:
        raise refused(f"the schema would not have been equal: {'; '.join(sorted(unplanned))}")


def refused(why: str) -> StampRefused:
    return StampRefused(
        "the schema could not be aligned, and is as it was",
        why=why,
        hint="the backup from before stays; mend what is in the way, or stamp with --accept-differences instead",
    )
