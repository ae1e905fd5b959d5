"""SQLite changes a column by building its table anew: what the history put there stays, or the revision is refused.

The objects are the history's own here, made by one revision and rebuilt by the next; those of others: test_guard.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from shutil import copytree
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cms.database.errors import MigrationFailed
from cms.database.fingerprint import read_fingerprint
from cms.database.history import get_head, load_scripts
from cms.database.target import MIGRATIONS_DIR, Limits, Target, parse_url
from tests.database.rows import connected, digests, upgrade

COLUMNS = "id INTEGER PRIMARY KEY, name VARCHAR(20), note TEXT, size INTEGER NOT NULL DEFAULT 0"
TABLE = f"CREATE TABLE item ({COLUMNS})"
REBUILD = """
    with op.batch_alter_table("item") as batch:
        batch.alter_column("size", existing_type=sa.Integer, server_default="7", existing_nullable=False)"""
KEPT = {
    "trigger": [TABLE, "CREATE TRIGGER t AFTER UPDATE OF note ON item BEGIN DELETE FROM item WHERE id < 0; END"],
    "trigger of another table": [TABLE, "CREATE TRIGGER t AFTER INSERT ON users BEGIN DELETE FROM item WHERE 0; END"],
    "expression index": [TABLE, "CREATE INDEX i ON item (lower(name), id)"],
    "unique expression index": [TABLE, "CREATE UNIQUE INDEX i ON item (name || id)"],
    "descending index": [TABLE, "CREATE INDEX i ON item (name DESC, size)"],
    "index with a collation": [TABLE, "CREATE INDEX i ON item (name COLLATE NOCASE)"],
    "partial index": [TABLE, "CREATE INDEX i ON item (name) WHERE size > 0"],
    "view": [TABLE, "CREATE VIEW v AS SELECT name FROM item"],
    "children that go with it": [
        TABLE, "CREATE TABLE child (id INTEGER PRIMARY KEY, item INTEGER REFERENCES item (id) ON DELETE CASCADE)",
        "INSERT INTO child (item) SELECT id FROM item",
    ],
    "children that are emptied": [
        TABLE, "CREATE TABLE child (id INTEGER PRIMARY KEY, item INTEGER REFERENCES item (id) ON DELETE SET NULL)",
        "INSERT INTO child (item) SELECT id FROM item",
    ],
    "named check": [f"CREATE TABLE item ({COLUMNS}, CONSTRAINT item_size_check CHECK (size >= 0))"],
    "named unique": [f"CREATE TABLE item ({COLUMNS}, CONSTRAINT item_name_key UNIQUE (name))"],
    "unnamed unique": [f"CREATE TABLE item ({COLUMNS}, UNIQUE (name, size))"],
    "strict types": [TABLE.replace("VARCHAR(20)", "TEXT") + " STRICT"],
    "no row ids": [TABLE.replace(" PRIMARY KEY", "").replace("(20)", "(20) PRIMARY KEY") + " WITHOUT ROWID"],
    "key of the table": [
        f"CREATE TABLE item ({COLUMNS}, owner CHAR(32), FOREIGN KEY (owner) REFERENCES users (uuid) ON DELETE CASCADE)"
    ],
}  # fmt: skip
REFUSED = {
    "collation": ([TABLE.replace("VARCHAR(20)", "VARCHAR(20) COLLATE NOCASE")], "loses column item.name"),
    "numbers that are not given out again": (
        [TABLE.replace("PRIMARY KEY", "PRIMARY KEY AUTOINCREMENT")], "loses column item.id"
    ),
    "conflict clause": (
        [TABLE.replace("DEFAULT 0", "ON CONFLICT IGNORE DEFAULT 0")], "loses column item.size"
    ),
    "action of an inline key": (
        [f"CREATE TABLE item ({COLUMNS}, owner CHAR(32) REFERENCES users ON DELETE CASCADE DEFERRABLE)"],
        "loses constraint item",
    ),
    "unnamed check": ([f"CREATE TABLE item ({COLUMNS}, CHECK (size >= 0))"], "loses constraint item check (size >= 0)"),
    "unnamed check of a column": (
        [TABLE.replace("DEFAULT 0", "DEFAULT 0 CHECK (size < 99)")], "loses constraint item check (size < 99)"
    ),
    "unnamed unique of a column": (
        [f'CREATE TABLE item ({COLUMNS}, "e mail" VARCHAR(20) UNIQUE)'], "loses constraint item unique (e mail)"
    ),
    "generated column": ([f"CREATE TABLE item ({COLUMNS}, twice INTEGER AS (size * 2) STORED)"], "failed on"),
}  # fmt: skip
ROWS = "INSERT INTO item (name, note, size) VALUES ('a', 'A', 1), ('b', NULL, 2), ('Ä', '', 3)"


def with_history(target, folder, *bodies):
    """Return the target with more revisions after the head, one for each body of an upgrade."""
    folder = Path(folder) / "migrations"
    copytree(MIGRATIONS_DIR, folder, ignore=lambda *_: ["__pycache__"])
    down = get_head(load_scripts(target))
    for number, body in enumerate(bodies, start=1):
        (folder / "versions" / f"20990101_000{number}_next.py").write_text(
            f'"""next {number}"""\nimport sqlalchemy as sa\nfrom alembic import op\nrevision = "{number}" * 12\n'
            f'down_revision = "{down}"\ndef upgrade():\n{body}\ndef downgrade(): pass\n'
        )
        down = str(number) * 12
    return replace(target, migrations_dir=folder)


def making(statements):
    first, *more = statements
    return "\n".join(f"    op.get_bind().exec_driver_sql({each!r})" for each in (first, ROWS, *more))


def look(target):
    with connected(target) as connection:
        return read_fingerprint(connection), digests(target)


def rebuild(target, folder, statements):
    """Return schema and rows before and after a rebuild; the column that it changes is left out of the schema."""
    longer = with_history(target, folder, making(statements), REBUILD)
    upgrade(longer, "1" * 12)
    before = look(longer)
    try:
        upgrade(longer)
    finally:
        after = look(longer)
    return tuple((without_size(facts), rows_of(rows)) for facts, rows in (before, after))


def without_size(fingerprint):
    return [str(fact) for fact in fingerprint.facts if (fact.kind, fact.table, fact.name) != ("column", "item", "size")]


def rows_of(rows):
    return {name: told for name, told in rows.items() if name in {"item", "child", "users"}}


@pytest.mark.parametrize("statements", KEPT.values(), ids=KEPT)
def test_a_rebuild_keeps(sqlite_target, tmp_path, statements):
    before, after = rebuild(sqlite_target, tmp_path, statements)
    assert after == before


@pytest.mark.parametrize(("statements", "why"), REFUSED.values(), ids=REFUSED)
def test_a_rebuild_that_cannot_keep_it_is_refused_and_names_it(sqlite_target, tmp_path, statements, why):
    longer = with_history(sqlite_target, tmp_path, making(statements), REBUILD)
    upgrade(with_history(sqlite_target, tmp_path / "before", making(statements)))
    before = look(longer)
    with pytest.raises(MigrationFailed) as failed:
        upgrade(longer)
    assert why in f"{failed.value.what}; {failed.value.why}"
    assert look(longer) == before


def test_a_rebuild_that_failed_leaves_nothing_and_runs_again(sqlite_target, tmp_path):
    body = REBUILD + "\n    if not op.get_bind().execute(sa.text('SELECT count(*) FROM users')).scalar(): return"
    failing = with_history(sqlite_target, tmp_path, making([TABLE]), body + "\n    raise ValueError('stop')")
    upgrade(failing, "1" * 12)
    with connected(failing) as connection:
        connection.exec_driver_sql(
            "INSERT INTO users (uuid, username, email, created_at) VALUES ('0', 'a', 'a', '2026-01-01 00:00:00')"
        )
    before = look(failing)
    with pytest.raises(ValueError, match="stop"):
        upgrade(failing)
    assert look(failing) == before
    upgrade(with_history(sqlite_target, tmp_path / "again", making([TABLE]), REBUILD))


def test_what_a_revision_drops_itself_stays_dropped(sqlite_target, tmp_path):
    drops = """
    op.execute("DROP INDEX i")
    op.execute("DROP TRIGGER t")"""
    body = f'{drops}{REBUILD}\n        batch.drop_index("plain")'
    statements = [*KEPT["trigger"], "CREATE INDEX i ON item (lower(name))", "CREATE INDEX plain ON item (name)"]
    upgrade(with_history(sqlite_target, tmp_path, making(statements), body))
    with connected(sqlite_target) as connection:
        left = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE tbl_name = 'item'").scalars().all()
    assert left == ["item"]


COLUMN_NAMES = ("a", "b", "c d", "order")
# What a rebuild cannot keep: each of these, and nothing else, may make it refuse.
ODD = (
    "COLLATE NOCASE",
    "CHECK (1)",
    "ON CONFLICT IGNORE",
    "AUTOINCREMENT",
    "ON DELETE CASCADE",
    ") UNIQUE",
    "T UNIQUE",
)
TWO_KEYS = ("owner CHAR(32) REFERENCES users (uuid)", "item_owner_fkey")  # of one column; one of them goes
WORDS = ["", "NOT NULL DEFAULT 'x'", "UNIQUE", "COLLATE NOCASE", "CHECK (1)", "NOT NULL ON CONFLICT IGNORE DEFAULT 'x'"]
KEYS = ["INTEGER PRIMARY KEY", "INTEGER PRIMARY KEY AUTOINCREMENT", "INTEGER NOT NULL PRIMARY KEY"]
EXTRA_COLUMNS = st.lists(
    st.tuples(st.sampled_from(["TEXT", "VARCHAR(20)", "INT"]), st.sampled_from(WORDS)), max_size=len(COLUMN_NAMES)
)
CONSTRAINTS = st.lists(
    st.sampled_from([
        "CONSTRAINT item_size_check CHECK (size >= 0)", "CONSTRAINT item_name_check CHECK (name <> 'CHECK')",
        "CONSTRAINT item_both_key UNIQUE (name, size)", "UNIQUE (size, name)",
        "CONSTRAINT item_owner_fkey FOREIGN KEY (owner) REFERENCES users (uuid) ON DELETE SET NULL",
    ]), unique=True, max_size=3,
)  # fmt: skip
OWNERS = ["CHAR(32)", "CHAR(32) REFERENCES users (uuid)", "CHAR(32) REFERENCES users ON DELETE CASCADE DEFERRABLE"]
INDEXED = st.tuples(st.sampled_from(["name", "lower(name)", "size", "name || size"]), st.sampled_from(["", " DESC"]))
OBJECTS = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from(["CREATE INDEX"]), st.lists(INDEXED, min_size=1, max_size=3, unique=True),
            st.sampled_from(["", " WHERE size > 0", " WHERE name IS NOT NULL"]),
        ).map(lambda index: f"{index[0]} {{}} ON item ({', '.join(''.join(key) for key in index[1])}){index[2]}"),
        st.sampled_from([
            "CREATE VIEW {} AS SELECT name, size FROM item WHERE size > 0",
            "CREATE TRIGGER {} AFTER UPDATE OF name ON item BEGIN DELETE FROM item WHERE id < 0; END",
            "CREATE TRIGGER {} BEFORE INSERT ON item WHEN new.size < 0 BEGIN SELECT RAISE(ABORT, 'no'); END",
            "CREATE TRIGGER {} AFTER INSERT ON users BEGIN DELETE FROM item WHERE 0; END",
            "CREATE TABLE {} (id INTEGER PRIMARY KEY, item INTEGER REFERENCES item (id) ON DELETE CASCADE)",
        ]),
    ), max_size=4,
)  # fmt: skip


@st.composite
def schemas(draw):
    """Return the statements that make a table, and what is on it, of any mixture of columns, constraints, objects."""
    extra = [f'"{name}" {kind} {words}' for name, (kind, words) in zip(COLUMN_NAMES, draw(EXTRA_COLUMNS), strict=False)]
    items = [
        f"id {draw(st.sampled_from(KEYS))}", "name VARCHAR(20)", "size INTEGER NOT NULL DEFAULT 0", "note TEXT",
        f"owner {draw(st.sampled_from(OWNERS))}", *draw(st.permutations(extra)), *draw(CONSTRAINTS),
    ]  # fmt: skip
    objects = [each.format(f"thing_{number}") for number, each in enumerate(draw(OBJECTS))]
    return [f"CREATE TABLE item ({', '.join(items)})", *objects]


@settings(max_examples=10, deadline=None)
@given(statements=schemas())
def test_any_schema_is_kept_whole_or_nothing_changes(statements):
    with TemporaryDirectory() as folder:
        target = Target(parse_url(f"sqlite:///{folder}/cms.db"), Path(folder), limits=Limits(retry_s=0))
        longer = with_history(target, folder, making(statements), REBUILD)
        upgrade(with_history(target, Path(folder) / "before", making(statements)))
        before = look(longer)
        try:
            upgrade(longer)
        except MigrationFailed:
            assert look(longer) == before
            reasons = [odd in statements[0] for odd in ODD] + [all(key in statements[0] for key in TWO_KEYS)]
            assert any(reasons), "refused without a reason"
        after = look(longer)
        assert without_size(after[0]) == without_size(before[0])
        assert rows_of(after[1]) == rows_of(before[1])
