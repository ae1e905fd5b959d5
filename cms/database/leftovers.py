"""What runs that were killed left behind: finding it, and taking it away before the next run begins.

Only what no living run holds, and what is a copy or half built: nothing that anybody could miss.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from cms.database.backup import list_partials, remove_partials
from cms.database.catalog_sqlite import quote
from cms.database.engines import engine_for
from cms.database.engines.base import connecting
from cms.database.errors import MigrationFailed
from cms.database.fingerprint import Fingerprint
from cms.database.history import Revision
from cms.database.maintenance import find_maintenance, turn_off
from cms.database.progress import Say
from cms.database.target import Target

PARTIAL_BACKUP, SCRATCH, INDEX, HALF_BUILT = "partial backup", "scratch database", "invalid index", "half-built table"
MAINTENANCE = "maintenance mode"
HALF_BUILT_PREFIX = "_alembic_tmp_"
# One that somebody builds at this moment is invalid too, and one that a constraint needs cannot be dropped alone.
INVALID_INDEXES = """
    SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    WHERE NOT i.indisvalid AND pg_table_is_visible(c.oid) AND pg_has_role(c.relowner, 'USAGE')
      AND NOT EXISTS (SELECT 1 FROM pg_stat_progress_create_index p WHERE p.index_relid = c.oid)
      AND NOT EXISTS (SELECT 1 FROM pg_constraint n WHERE n.conindid = c.oid)
    ORDER BY 1"""


@dataclass(frozen=True)
class Leftover:
    """One thing that a killed run left."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def find_leftovers(target: Target, connection: sa.Connection, to_come: Collection[str]) -> tuple[Leftover, ...]:
    """Return what killed runs left. Reads only; takes the locks of folders and files for a moment.

    to_come: the names of indexes that pending revisions build; an invalid one of that name would stop them.
    Raises MigrationFailed if a half-built table may hold the only copy of rows.
    """
    partials = [Leftover(PARTIAL_BACKUP, path.name) for path in list_partials(target.backup_dir)]
    scratches = [Leftover(SCRATCH, name) for name in engine_for(target).list_dead_scratches(target, connection)]
    closed = find_maintenance(target.maintenance_file)
    closings = (
        [Leftover(MAINTENANCE, f"since {closed.since:%Y-%m-%d %H:%M} UTC")] if closed and closed.abandoned else []
    )
    if target.engine_name == "sqlite":
        return (*partials, *scratches, *closings, *find_half_built(target, connection))
    invalid = connection.exec_driver_sql(INVALID_INDEXES).scalars()
    return (*partials, *scratches, *closings, *(Leftover(INDEX, name) for name in invalid if name in to_come))


def find_half_built(target: Target, connection: sa.Connection) -> list[Leftover]:
    """Return the new tables of rebuilds that ended in the middle, as they do outside of a transaction."""
    tables = set(sa.inspect(connection).get_table_names())
    found = sorted(name for name in tables if name.startswith(HALF_BUILT_PREFIX))
    for name in found:
        if (former := name.removeprefix(HALF_BUILT_PREFIX)) not in tables:
            raise MigrationFailed(
                f"{target.name} has the table {name} and no table {former}",
                why="another tool was killed while it built the table anew: these are the only rows there are",
                hint=f"look at them; then, in `python manage.py dbshell`: ALTER TABLE {name} RENAME TO {former}; "
                "nothing was changed",
            )
    return [Leftover(HALF_BUILT, name) for name in found]


def list_indexes_to_come(
    expected: Mapping[str, Fingerprint], current: str | None, pending: Collection[Revision]
) -> frozenset[str]:
    """Return the names of the indexes that the pending revisions make; none where what they make is not known."""
    there = index_names(expected.get(current)) if current else frozenset()
    return frozenset().union(*(index_names(expected.get(revision.id)) for revision in pending)) - there


def index_names(fingerprint: Fingerprint | None) -> frozenset[str]:
    return frozenset(fact.name for fact in fingerprint.facts if fact.kind == "index") if fingerprint else frozenset()


def remove_leftovers(target: Target, leftovers: Collection[Leftover], say: Say) -> None:
    """Take away what was found, under the deploy lock; what is gone by now is not missed."""
    for leftover in leftovers:
        say(f"removing the {leftover} of a run that was killed")
    kinds = {leftover.kind for leftover in leftovers}
    if PARTIAL_BACKUP in kinds:
        remove_partials(target.backup_dir)
    if SCRATCH in kinds:
        engine_for(target).drop_dead_scratches(target)
    if MAINTENANCE in kinds:
        turn_off(target.maintenance_file)
    for statement in (drop_statement(each) for each in leftovers if each.kind in {INDEX, HALF_BUILT}):
        engine = engine_for(target).open_tool(target).execution_options(isolation_level="AUTOCOMMIT")
        with connecting(target, engine) as connection:
            connection.exec_driver_sql(statement)


def drop_statement(leftover: Leftover) -> str:
    if leftover.kind == INDEX:  # concurrently: nobody is to wait for a thing that nobody uses
        return f"DROP INDEX CONCURRENTLY IF EXISTS {quote(leftover.name)}"
    return f"DROP TABLE IF EXISTS {quote(leftover.name)}"
