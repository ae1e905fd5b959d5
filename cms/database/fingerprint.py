"""What a schema consists of, as sorted lines that people can read, and one hash over them.

The lines are catalog facts, so everything that autogenerate does not compare counts too: check constraints, validity,
partial indexes, triggers, views. Tables of the history itself and of the job queue do not count.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError

from cms.database.engines import engine_for
from cms.database.engines.base import connecting, first_line
from cms.database.engines.sqlite import begin_for_real
from cms.database.errors import DatabaseUnsupported
from cms.database.history import VERSION_TABLE, list_revisions
from cms.database.journal import JOURNAL_TABLE
from cms.database.schema import Base
from cms.database.target import Target

JOB_TABLES = "huey_"
SCRATCH_SCHEMA = "cms_fingerprint"
ODD_WORDS = r"\b(AUTOINCREMENT|COLLATE\s+\w+|ON\s+CONFLICT\s+\w+|DEFERRABLE\s+INITIALLY\s+DEFERRED)"
NO_PRIVILEGE = "42501"
READ_ONLY = "25006"


@dataclass(frozen=True)
class Fingerprint:
    """The facts of one schema, sorted."""

    facts: tuple[str, ...]

    @property
    def hash(self) -> str:
        return hashlib.sha256("\n".join(self.facts).encode()).hexdigest()

    def missing_from(self, other: Fingerprint) -> tuple[str, ...]:
        """Return the facts that are here and not there."""
        return tuple(sorted(set(self.facts) - set(other.facts)))


def is_counted(table: str) -> bool:
    """Return whether a table belongs to the schema that revisions describe."""
    return table not in {VERSION_TABLE, JOURNAL_TABLE} and not table.startswith(JOB_TABLES)


def read_fingerprint(connection: sa.Connection) -> Fingerprint:
    """Read the catalog of the schema that unqualified names mean. Takes no lock; about 10 ms."""
    facts = postgresql_facts if connection.dialect.name == "postgresql" else sqlite_facts
    return Fingerprint(tuple(sorted(fact for table, fact in facts(connection) if is_counted(table))))


def replay_history(target: Target, scripts: ScriptDirectory) -> dict[str, Fingerprint]:
    """Return what the schema looks like at each revision, oldest first, by running the history in a scratch place.

    On PostgreSQL that is a schema of its own, inside a transaction that is rolled back, so nobody else sees or waits
    for any of it; for SQLite a database in memory. Raises DatabaseUnreachable, DatabaseUnsupported if the role may not
    make a schema, and whatever a revision raises.
    """
    if target.engine_name == "sqlite":
        engine = sa.create_engine("sqlite://", connect_args={"isolation_level": None})
        event.listen(engine, "begin", begin_for_real)
        with engine.connect() as connection:
            return dict(run_history(connection, scripts))
    with connecting(target, engine_for(target).open_tool(target)) as connection:
        make_scratch_schema(connection, target)
        connection.exec_driver_sql(f"SET LOCAL search_path = {SCRATCH_SCHEMA}")
        found = dict(run_history(connection, scripts))
        connection.rollback()
        return found


def make_scratch_schema(connection: sa.Connection, target: Target) -> None:
    try:
        connection.exec_driver_sql(f"CREATE SCHEMA {SCRATCH_SCHEMA}")
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) not in {NO_PRIVILEGE, READ_ONLY}:
            raise
        raise DatabaseUnsupported(
            f"the history cannot be replayed on {target.name}",
            why=first_line(error),
            hint=f"as its owner: GRANT CREATE ON DATABASE {target.url.database} TO {target.url.username}; "
            "on a replica, ask the primary; nothing was changed",
        ) from error


def run_history(connection: sa.Connection, scripts: ScriptDirectory) -> Iterator[tuple[str, Fingerprint]]:
    options = {"target_metadata": Base.metadata}
    context = MigrationContext.configure(connection, opts=options)
    with Operations.context(context):
        for revision in list_revisions(scripts):
            scripts.get_revision(revision.id).module.upgrade()
            yield revision.id, read_fingerprint(connection)


POSTGRESQL_FACTS = {
    "tables": """
        SELECT c.relname, 'table ' || c.relname
               || CASE WHEN c.relpersistence = 'u' THEN ' unlogged' ELSE '' END
               || CASE WHEN c.relrowsecurity THEN ' with row security' ELSE '' END
        FROM pg_class c WHERE c.relnamespace = :schema AND c.relkind IN ('r', 'p')""",
    "columns": """
        SELECT c.relname, 'column ' || c.relname || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
               || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END
               || coalesce(CASE WHEN a.attgenerated <> '' THEN ' generated as ' ELSE ' default ' END
                           || pg_get_expr(d.adbin, d.adrelid), '')
               || CASE WHEN a.attidentity <> '' THEN ' identity' ELSE '' END
               || CASE WHEN a.attcollation <> t.typcollation THEN ' collate ' || a.attcollation::regcollation
                  ELSE '' END
        FROM pg_attribute a
        JOIN pg_class c ON c.oid = a.attrelid
        JOIN pg_type t ON t.oid = a.atttypid
        LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE c.relnamespace = :schema AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped""",
    # contype n: PostgreSQL 18 lists each NOT NULL as a constraint too; the column says it already.
    "constraints": """
        SELECT c.relname, 'constraint ' || c.relname || ' ' || k.conname || ' ' || pg_get_constraintdef(k.oid)
        FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
        WHERE c.relnamespace = :schema AND k.contype IN ('p', 'u', 'f', 'c', 'x')""",
    "indexes": """
        SELECT c.relname, 'index ' || pg_get_indexdef(i.indexrelid)
               || CASE WHEN i.indisvalid THEN '' ELSE ' (invalid)' END
        FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
        WHERE c.relnamespace = :schema AND NOT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conindid = i.indexrelid
              AND k.contype IN ('p', 'u', 'x'))""",
    # What makes a table behave otherwise than it looks is a fact only where it is there.
    "rules": """
        SELECT c.relname, 'rule ' || pg_get_ruledef(r.oid)
        FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
        WHERE c.relnamespace = :schema AND c.relkind IN ('r', 'p') AND r.rulename <> '_RETURN'""",
    "switched off constraints": """
        SELECT c.relname, 'constraint ' || k.conname || ' of ' || c.relname || ' is not enforced'
        FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_constraint k ON k.oid = t.tgconstraint
        WHERE c.relnamespace = :schema AND t.tgisinternal AND t.tgenabled <> 'O'""",
    "children": """
        SELECT c.relname, 'table ' || c.relname || ' has the child ' || i.inhrelid::regclass
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhparent
        WHERE c.relnamespace = :schema AND c.relkind IN ('r', 'p')""",
    "partitioned": """
        SELECT c.relname, 'table ' || c.relname || ' is partitioned ' || pg_get_partkeydef(c.oid)
        FROM pg_class c WHERE c.relnamespace = :schema AND c.relkind = 'p'""",
    "unusable indexes": """
        SELECT c.relname, 'index ' || i.indexrelid::regclass || ' of ' || c.relname || ' is not usable'
        FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
        WHERE c.relnamespace = :schema AND NOT (i.indisvalid AND i.indisready AND i.indislive)""",
    "unreadable": """
        SELECT c.relname, 'table ' || c.relname || ' may not be read and written by this role'
        FROM pg_class c WHERE c.relnamespace = :schema AND c.relkind IN ('r', 'p')
              AND NOT has_table_privilege(c.oid, 'SELECT, INSERT, UPDATE, DELETE')""",
    "triggers": """
        SELECT c.relname, 'trigger ' || c.relname || ' ' || pg_get_triggerdef(t.oid)
               || CASE t.tgenabled WHEN 'O' THEN '' ELSE ' (not enabled)' END
        FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
        WHERE c.relnamespace = :schema AND NOT t.tgisinternal""",
    "views": """
        SELECT c.relname, 'view ' || c.relname || ' ' || pg_get_viewdef(c.oid)
        FROM pg_class c WHERE c.relnamespace = :schema AND c.relkind IN ('v', 'm')""",
    "types": """
        SELECT t.typname, 'type ' || t.typname || ' ' || coalesce(
                   (SELECT string_agg(e.enumlabel, ',' ORDER BY e.enumsortorder)
                    FROM pg_enum e WHERE e.enumtypid = t.oid),
                   format_type(t.typbasetype, t.typtypmod))
        FROM pg_type t WHERE t.typnamespace = :schema AND t.typtype IN ('e', 'd')""",
}


def postgresql_facts(connection: sa.Connection) -> Iterator[tuple[str, str]]:
    """Yield (table, fact) for every object in the current schema; the schema's own name does not count."""
    query = "SELECT oid, nspname FROM pg_namespace WHERE nspname = current_schema()"
    found = connection.execute(sa.text(query)).one_or_none()
    if found is None:
        raise DatabaseUnsupported(
            "the search_path names no schema that exists",
            why="so unqualified names of tables mean nothing",
            hint='look at SHOW search_path; usually it is "$user", public',
        )
    oid, name = found
    qualifier = re.compile(rf"\b{re.escape(name)}\.")
    for query in POSTGRESQL_FACTS.values():
        for table, fact in connection.execute(sa.text(query), {"schema": oid}):
            if fact is not None:  # the object went away while the catalog was read
                yield table, " ".join(qualifier.sub("", fact).split())


def sqlite_facts(connection: sa.Connection) -> Iterator[tuple[str, str]]:
    """Yield (table, fact) for every object; names of constraints do not count, SQLite itself uses none."""
    catalog = connection.exec_driver_sql(
        "SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_master WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    )
    for kind, name, table, sql in catalog.all():
        if kind == "table":
            yield from sqlite_table_facts(connection, name, sql)
        elif kind == "index":
            yield table, f"index {name} on {table} {index_columns(connection, name)}{partial(sql)}"
        else:
            yield table, f"{kind} {name} {' '.join(sql.split())}"


def plain_default(kind: str, default: str | None) -> str | None:
    """Return '0' of a whole number or a boolean as 0: SQLite stores the same, and server_default="0" writes it so."""
    word = (default or "").strip("'")
    return word if word.isdecimal() and ("INT" in kind.upper() or "BOOL" in kind.upper()) else default


def sqlite_table_facts(connection: sa.Connection, table: str, sql: str) -> Iterator[tuple[str, str]]:
    quoted = quote(table)
    words = sql.upper().rsplit(")", 1)[-1].split()
    yield table, " ".join(["table", table, *words])
    for _, name, kind, required, default, key, hidden in connection.exec_driver_sql(f"PRAGMA table_xinfo({quoted})"):
        yield (
            table,
            f"column {table}.{name} {kind.upper()}"
            + "".join(
                word
                for word, present in (
                    (" not null", required),
                    (f" default {plain_default(kind, default)}", default is not None),
                    (f" primary key part {key}", key),
                    (" generated", hidden),
                )
                if present
            ),
        )
    yield from foreign_keys(connection, table)
    for _, name, unique, origin, _ in connection.exec_driver_sql(f"PRAGMA index_list({quoted})").all():
        if unique and origin == "u":
            yield table, f"unique constraint on {table} {index_columns(connection, name)}"
        elif unique and origin == "c":
            yield table, f"index {name} on {table} is unique"
    for clause in check_clauses(sql):
        yield table, f"check on {table} {clause}"
    for word in re.findall(ODD_WORDS, sql, re.IGNORECASE):
        yield table, f"table {table} uses {' '.join(word.upper().split())}"


def foreign_keys(connection: sa.Connection, table: str) -> Iterator[tuple[str, str]]:
    keys: dict[int, list[sa.Row[tuple[object, ...]]]] = {}
    for row in connection.exec_driver_sql(f"PRAGMA foreign_key_list({quote(table)})"):
        keys.setdefault(row[0], []).append(row)
    for rows in keys.values():
        pairs = ", ".join(f"{row[3]} -> {row[2]}.{row[4]}" for row in sorted(rows, key=lambda row: row[1]))
        yield table, f"foreign key on {table} {pairs} on update {rows[0][5]} on delete {rows[0][6]}".lower()


def index_columns(connection: sa.Connection, index: str) -> str:
    """Return an index's key columns in order, with direction and collation where they are not the usual ones."""
    columns = []
    for _, _, name, descending, collation, key in connection.exec_driver_sql(f"PRAGMA index_xinfo({quote(index)})"):
        if key:
            usual = "" if collation == "BINARY" else f" collate {collation}"
            columns.append(f"{name or 'an expression'}{usual}{' desc' if descending else ''}")
    return f"({', '.join(columns)})"


def partial(sql: str) -> str:
    """Return the expression and predicate part of an index's own text, from its column list on, if it has a WHERE."""
    where = re.search(r"\bWHERE\b(.*)", sql, re.IGNORECASE | re.DOTALL)
    return f" where {' '.join(where.group(1).split())}" if where else ""


def check_clauses(sql: str) -> Iterator[str]:
    """Yield the condition of each CHECK in a table's text."""
    for match in re.finditer(r"\bCHECK\s*\(", sql, re.IGNORECASE):
        depth, start = 1, match.end()
        for position in range(start, len(sql)):
            depth += {"(": 1, ")": -1}.get(sql[position], 0)
            if depth == 0:
                yield " ".join(sql[start:position].split())
                break


def quote(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'
