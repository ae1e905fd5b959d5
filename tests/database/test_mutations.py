"""Whatever one thing is changed about the schema, no revision is equal any more and the difference is named."""

from __future__ import annotations

import re

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import DBAPIError

from cms.database.adopt import refuse_differences
from cms.database.differences import compare, find_nearest
from cms.database.engines import engine_for
from cms.database.errors import StampRefused
from cms.database.expected import read_expected
from cms.database.fingerprint import is_counted, read_fingerprint
from cms.database.history import load_scripts
from cms.database.sqltext import inside, name_of, split_list, tokens
from tests.database.rows import upgrade

# Both ends of a foreign key have one type, a primary key is not null, GIN holds no numbers, a trigger or a check reads
# another type: PostgreSQL refuses it.
IMPOSSIBLE = re.compile(
    "incompatible types|is in a primary key|no default operator class|used in a trigger definition"
    "|operator does not exist"
)
OF_A_COLUMN = [
    "ALTER TABLE {t} ALTER {c} DROP DEFAULT, ALTER {c} TYPE numeric(7,3) USING 1",
    'ALTER TABLE {t} ALTER {c} DROP DEFAULT, ALTER {c} TYPE varchar(77) COLLATE "C" USING {c}::text',
    "ALTER TABLE {t} ALTER {c} SET DEFAULT NULL, ALTER {c} {null} NOT NULL",
    "ALTER TABLE {t} ALTER {c} SET DEFAULT {value}",
    "ALTER TABLE {t} DROP COLUMN {c} CASCADE",
    "ALTER TABLE {t} RENAME COLUMN {c} TO other",
]
VALUES = {
    "UUID": "gen_random_uuid()", "TIMESTAMP": "'2020-01-01'", "JSONB": "'[7]'", "BOOLEAN": "random() < 0.5",
    "INTEGER": "7", "SMALLINT": "7", "BIGINT": "7",
}  # fmt: skip
OF_A_TABLE = [
    ("ALTER TABLE {t} RENAME TO other", "{t}"),
    ("ALTER TABLE {t} ADD COLUMN other INT", "{t}.other"),
    ("ALTER TABLE {t} ADD COLUMN other INT GENERATED ALWAYS AS IDENTITY", "{t}.other"),
    ("ALTER TABLE {t} ENABLE ROW LEVEL SECURITY", "table {t}"),
    ("ALTER TABLE {t} FORCE ROW LEVEL SECURITY", "table {t}"),
    ("CREATE RULE other AS ON DELETE TO {t} DO INSTEAD NOTHING", "other on {t}"),
    ("CREATE POLICY other ON {t} USING (true)", "other on {t}"),
    ("CREATE TABLE other () INHERITS ({t})", "other on {t}"),
    ("CREATE VIEW other AS SELECT * FROM {t}", "view other"),
    ("CREATE MATERIALIZED VIEW other AS SELECT * FROM {t}", "view other"),
    ("CREATE INDEX other ON {t} ((1))", "other on {t}"),
    ("ALTER TABLE {t} ADD CONSTRAINT other CHECK (true)", "other on {t}"),
    ("ALTER TABLE {t} ADD CONSTRAINT other CHECK (true) NOT VALID", "other on {t}"),
]
OF_AN_INDEX = [
    "DROP INDEX {i}",
    "ALTER INDEX {i} RENAME TO other",
    "UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{i}'::regclass",
    "UPDATE pg_index SET indisunique = NOT indisunique WHERE indexrelid = '{i}'::regclass",
]
OF_A_CONSTRAINT = [
    "ALTER TABLE {t} DROP CONSTRAINT {k} CASCADE",
    "ALTER TABLE {t} RENAME CONSTRAINT {k} TO other",
    "UPDATE pg_constraint SET condeferrable = true WHERE conname = '{k}'",
]
OF_A_FOREIGN_KEY = [
    "UPDATE pg_constraint SET convalidated = false WHERE conname = '{k}'",
    "UPDATE pg_constraint SET confdeltype = CASE confdeltype WHEN 'n' THEN 'c' ELSE 'n' END WHERE conname = '{k}'",
    "UPDATE pg_constraint SET confupdtype = 'c' WHERE conname = '{k}'",
    "ALTER TABLE {t} DISABLE TRIGGER ALL",
]
OF_A_SQLITE_TABLE = [
    ("ALTER TABLE {t} RENAME TO other", "{t}"),
    ("ALTER TABLE {t} ADD COLUMN other INT", "{t}.other"),
    ("CREATE VIEW other AS SELECT * FROM {t}", "view other"),
    ("CREATE TRIGGER other AFTER DELETE ON {t} BEGIN SELECT 1; END", "other on {t}"),
    ("CREATE INDEX other ON {t} (1 + 1)", "other on {t}"),
]


@pytest.fixture
def place(target):
    """Return a connection to an empty site at the head, and every revision's schema."""
    upgrade(target)
    expected = read_expected(target, load_scripts(target))
    with engine_for(target).open_tool(target, migrating=True).connect() as connection:
        yield connection, expected


def changes_on_postgresql(connection):
    """Yield every change as its statement and the name that a report must contain."""
    inspector = sa.inspect(connection)
    for table in filter(is_counted, inspector.get_table_names()):
        yield from ((form.format(t=table), name.format(t=table)) for form, name in OF_A_TABLE)
        for column in inspector.get_columns(table):
            kind = str(column["type"]).partition("(")[0]
            null, value = "DROP" if not column["nullable"] else "SET", VALUES.get(kind, "'x'")
            given = {"t": table, "c": column["name"], "null": null, "value": value}
            yield from ((form.format(**given), f"{table}.{column['name']}") for form in OF_A_COLUMN)
        for index in inspector.get_indexes(table):
            if "duplicates_constraint" not in index:
                yield from ((form.format(i=index["name"]), index["name"]) for form in OF_AN_INDEX)
        keys = [key["name"] for key in inspector.get_foreign_keys(table)]
        others = [*inspector.get_unique_constraints(table), *inspector.get_check_constraints(table)]
        for name in (*keys, inspector.get_pk_constraint(table)["name"], *(rule["name"] for rule in others)):
            forms = OF_A_CONSTRAINT + (OF_A_FOREIGN_KEY if name in keys else [])
            yield from ((form.format(t=table, k=name), name) for form in forms)

    triggers = "SELECT tgname, tgrelid::regclass::text, tgfoid::regprocedure FROM pg_trigger WHERE NOT tgisinternal"
    for trigger, table, function in connection.exec_driver_sql(triggers).all():
        yield f"DROP TRIGGER {trigger} ON {table}", f"{trigger} on {table}"
        yield f"ALTER TABLE {table} DISABLE TRIGGER {trigger}", f"{trigger} on {table}"
        yield f"DROP FUNCTION {function} CASCADE", str(function)
        yield f"ALTER FUNCTION {function} STABLE", str(function)


def changes_on_sqlite(connection):
    inspector = sa.inspect(connection)
    triggers = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    for trigger in connection.exec_driver_sql(triggers).scalars().all():
        yield f"DROP TRIGGER {trigger}", trigger
    kinds = "SELECT type, name FROM pragma_table_list WHERE schema = 'main' AND name NOT LIKE 'sqlite_%'"
    tables = [(kind, name) for kind, name in connection.exec_driver_sql(kinds) if is_counted(name)]
    yield from ((f"DROP TABLE {name}", name) for kind, name in tables if kind == "virtual")
    for table in (name for kind, name in tables if kind == "table"):
        yield from ((form.format(t=table), name.format(t=table)) for form, name in OF_A_SQLITE_TABLE)
        for column in inspector.get_columns(table):
            yield f"ALTER TABLE {table} RENAME COLUMN {column['name']} TO other", f"{table}.{column['name']}"
        for index in inspector.get_indexes(table):
            yield f"DROP INDEX {index['name']}", index["name"]
        sql = connection.exec_driver_sql(f"SELECT sql FROM sqlite_master WHERE name = '{table}'").scalar_one()
        keys = inspector.get_pk_constraint(table)["constrained_columns"]
        yield from ((rewrite(table, changed), name) for changed, name in rewritten(table, sql, keys))


def rewritten(table, sql, keys):
    """Yield the table's SQL with one thing changed in one column or rule, as no statement of SQLite could."""
    parts = tokens(sql)
    items = list(split_list(inside(parts, parts.index("("))))
    for number, item in enumerate(items):
        is_column = item[0].lower() not in {"primary", "foreign", "unique", "check", "constraint"}
        name = f"{table}.{name_of(item[0])}" if is_column else table
        is_rowid = [name_of(item[0])] == keys and item[1].upper() == "INTEGER"  # never null, whatever is said
        for changed in changed_columns(item, is_rowid=is_rowid) if is_column else changed_rules(item):
            body = [*items[:number], *changed, *items[number + 1 :]]
            yield f"CREATE TABLE {table} ({', '.join(' '.join(each) for each in body)})", name


def changed_columns(item, *, is_rowid):
    words = [word.upper() for word in item]
    yield [[item[0], "BLOB", *(["NOT", "NULL"] if "NOT" in words else [])]]
    yield [[*item, "COLLATE", "RTRIM"]]
    if not is_rowid:
        kept = [word for word in item if word.upper() not in {"NOT", "NULL"}]
        yield [kept if "NOT" in words else [*item, "NOT", "NULL"]]
    if "DEFAULT" not in words:
        yield [[*item, "DEFAULT", "7"]]


def changed_rules(item):
    if item[0].upper() == "FOREIGN":
        yield []
        yield [[*item, "ON", "UPDATE", "CASCADE"]]
        yield [[*item, "DEFERRABLE", "INITIALLY", "DEFERRED"]]


def rewrite(table, sql):
    escaped = sql.replace("'", "''")
    return f"UPDATE sqlite_master SET sql = '{escaped}' WHERE type = 'table' AND name = '{table}'"


def test_every_single_change_is_found_and_named_and_not_stamped(target, place):
    connection, expected = place
    sqlite = connection.dialect.name == "sqlite"
    changes = list(changes_on_sqlite(connection) if sqlite else changes_on_postgresql(connection))
    if not sqlite:  # rows that revisions wrote must not stand in the way of a change
        tables = filter(is_counted, sa.inspect(connection).get_table_names())
        connection.exec_driver_sql(f"TRUNCATE {', '.join(tables)}")
    found, head, before_head = 0, list(expected)[-1], list(expected.values())[-2]
    for statement, name in changes:
        savepoint = connection.begin_nested()
        if sqlite:
            connection.exec_driver_sql("PRAGMA writable_schema = ON")
        try:
            connection.exec_driver_sql(statement)
        except DBAPIError as error:
            if not IMPOSSIBLE.search(str(error)):
                raise
            savepoint.rollback()
            continue
        if sqlite:
            connection.exec_driver_sql("PRAGMA writable_schema = RESET")
        schema = read_fingerprint(connection)
        if schema == before_head:  # it undoes just what the newest revision did
            savepoint.rollback()
            continue
        assert schema not in expected.values(), statement
        difference = compare(head, schema, expected[head])
        assert any(name in line for line in difference.lines), (statement, difference.lines)
        with pytest.raises(StampRefused):
            refuse_differences(target, difference, difference, (), accept_differences=bool(difference.blocking))
        found += 1
        savepoint.rollback()
        if sqlite:
            connection.exec_driver_sql("PRAGMA writable_schema = RESET")
    assert found > (150 if sqlite else 250)
    assert find_nearest(read_fingerprint(connection), expected).size == 0


TYPES = {
    "postgresql": ["integer", "varchar(9)", "numeric(5,2)", "timestamptz"],
    "sqlite": ["INTEGER", "VARCHAR(9)", "JSON"],
}
DEFAULTS = [None, "NULL", "'7'", "'8'"]
COLUMN = st.tuples(st.integers(0, 2), st.booleans(), st.sampled_from(DEFAULTS), st.booleans())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(one=st.lists(COLUMN, min_size=1, max_size=4), other=st.lists(COLUMN, min_size=1, max_size=4))
def test_two_tables_have_one_fingerprint_exactly_if_their_columns_are_the_same(bare, one, other):
    """Any order of columns: the same set of (name, type, null, default) is the same table."""
    assert (fingerprint_of(bare, one) == fingerprint_of(bare, other)) == (meaning(one) == meaning(other))
    assert fingerprint_of(bare, one) == fingerprint_of(bare, one, reverse=True)


@pytest.fixture
def bare(target):
    engine_for(target).prepare(target)
    with engine_for(target).open_tool(target).connect() as connection:
        yield connection


def meaning(columns):
    return [(kind, null, default if default != "NULL" else None, unique) for kind, null, default, unique in columns]


def fingerprint_of(connection, columns, *, reverse=False):
    """Make a table of columns c0, c1 … and return its fingerprint; nothing of it stays."""
    types = TYPES[connection.dialect.name]
    parts = [
        " ".join(
            [f"c{number} {types[kind]}"]
            + ([] if null else ["NOT NULL"])
            + ([f"DEFAULT {default}"] if default else [])
            + (["UNIQUE"] if unique else [])
        )
        for number, (kind, null, default, unique) in enumerate(columns)
    ]
    savepoint = connection.begin_nested()
    connection.exec_driver_sql(f"CREATE TABLE t ({', '.join(parts[::-1] if reverse else parts)})")
    found = read_fingerprint(connection)
    savepoint.rollback()
    return found
