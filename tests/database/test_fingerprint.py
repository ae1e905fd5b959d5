"""Two schemas that behave alike have one fingerprint; two that do not differ in a fact that names the difference."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cms.database.engines import engine_for
from cms.database.fingerprint import read_fingerprint
from cms.database.sqltext import spelled, tokens
from tests.database.rows import connected, upgrade


def fingerprint_of(target, ddl):
    """Return the fingerprint of what the statements make in the empty database; they are rolled back."""
    engine_for(target).prepare(target)
    with engine_for(target).open_tool(target).connect() as connection:
        for statement in ddl.split(";;"):
            connection.exec_driver_sql(statement)
        found = read_fingerprint(connection)
        connection.rollback()
    return found


T = "CREATE TABLE t (id INTEGER PRIMARY KEY, n VARCHAR(9))"
SAME_ON_SQLITE = {
    "case of words": (T, "create table T (ID integer primary key, N varchar(9))"),
    "quoted names": (T, 'CREATE TABLE "t" (`id` INTEGER PRIMARY KEY, [n] VARCHAR(9))'),
    "white space": (T, "CREATE TABLE t(\n id   INTEGER\tPRIMARY KEY,\n n VARCHAR (9)\n)"),
    "comments": (T, "CREATE TABLE t (id INTEGER PRIMARY KEY, -- check (x > 0\n n VARCHAR(9) /* unique ( */)"),
    "order of columns": (T, "CREATE TABLE t (n VARCHAR(9), id INTEGER PRIMARY KEY)"),
    "key as a constraint": (T, "CREATE TABLE t (id INTEGER, n VARCHAR(9), CONSTRAINT k PRIMARY KEY (id))"),
    "number in quotes": ("CREATE TABLE t (a INTEGER DEFAULT 0)", "CREATE TABLE t (a INTEGER DEFAULT '0')"),
    "default in parentheses": ("CREATE TABLE t (a INTEGER DEFAULT 7)", "CREATE TABLE t (a INTEGER DEFAULT (7))"),
    "name of a check": ("CREATE TABLE t (a INT CHECK (a > 0))", "CREATE TABLE t (a INT, CONSTRAINT c CHECK ((a>0)))"),
    "name of a unique": ("CREATE TABLE t (a INT UNIQUE)", "CREATE TABLE t (a INT, CONSTRAINT u UNIQUE (a))"),
    "unique said twice": ("CREATE TABLE t (a INT UNIQUE)", "CREATE TABLE t (a INT UNIQUE, UNIQUE (a))"),
    "parent's key implied": (
        f"{T};;CREATE TABLE c (p INTEGER REFERENCES t (id))",
        f"{T};;CREATE TABLE c (p INTEGER, FOREIGN KEY (p) REFERENCES T)",
    ),
    "usual action": (
        f"{T};;CREATE TABLE c (p INTEGER REFERENCES t (id))",
        f"{T};;CREATE TABLE c (p INTEGER REFERENCES t (id) ON DELETE NO ACTION NOT DEFERRABLE)",
    ),
    "usual collation": (T, "CREATE TABLE t (id INTEGER PRIMARY KEY, n VARCHAR(9) COLLATE BINARY)"),
    "usual conflict": (
        "CREATE TABLE t (a INT NOT NULL)",
        "CREATE TABLE t (a INT NOT NULL ON CONFLICT ABORT)",
    ),
    "ascending": (f"{T};;CREATE INDEX i ON t (n)", f'{T};;create index "i" on "t" ("n" asc)'),
    "expression": (f"{T};;CREATE INDEX i ON t (lower(n))", f"{T};;CREATE INDEX i ON t (LOWER( n ))"),
    "predicate": (f"{T};;CREATE INDEX i ON t (n) WHERE id > 0", f"{T};;CREATE INDEX i ON t (n) where (ID>0)"),
    "options in another order": (
        f"{T} STRICT".replace("VARCHAR(9)", "TEXT"),
        f"{T} strict".replace("VARCHAR(9)", "TEXT"),
    ),
    "default of null": (T, "CREATE TABLE t (id INTEGER PRIMARY KEY, n VARCHAR(9) DEFAULT NULL)"),
    "generated": (
        "CREATE TABLE t (a INT, b INT GENERATED ALWAYS AS (a + 1))",
        "CREATE TABLE t (a INT, b INT AS ((A+1)) VIRTUAL)",
    ),
}
OTHER_ON_SQLITE = {
    "expression of an index": (f"{T};;CREATE INDEX i ON t (lower(n))", f"{T};;CREATE INDEX i ON t (upper(n))"),
    "second expression": (f"{T};;CREATE INDEX i ON t (id, n || 'A')", f"{T};;CREATE INDEX i ON t (id, n || 'a')"),
    "predicate": (f"{T};;CREATE INDEX i ON t (n) WHERE n = 'X'", f"{T};;CREATE INDEX i ON t (n) WHERE n = 'x'"),
    "unique index": (f"{T};;CREATE INDEX i ON t (n)", f"{T};;CREATE UNIQUE INDEX i ON t (n)"),
    "direction": (f"{T};;CREATE INDEX i ON t (n)", f"{T};;CREATE INDEX i ON t (n DESC)"),
    "string in a check": (
        "CREATE TABLE t (a TEXT CHECK (a <> ')'))",
        "CREATE TABLE t (a TEXT CHECK (a <> ')' AND a <> 'b'))",
    ),
    "case in a check": ("CREATE TABLE t (a TEXT CHECK (a='x'))", "CREATE TABLE t (a TEXT CHECK (a='X'))"),
    "white space in a string": ("CREATE TABLE t (a TEXT DEFAULT ' ')", "CREATE TABLE t (a TEXT DEFAULT '  ')"),
    "check behind a string": (
        "CREATE TABLE t (a TEXT DEFAULT '(', b INT CHECK (b > 0))",
        "CREATE TABLE t (a TEXT DEFAULT '(', b INT CHECK (b > 1))",
    ),
    "generated": ("CREATE TABLE t (a INT, b INT AS (a + 1))", "CREATE TABLE t (a INT, b INT AS (a + 2))"),
    "stored": ("CREATE TABLE t (a INT, b INT AS (a))", "CREATE TABLE t (a INT, b INT AS (a) STORED)"),
    "collation": ("CREATE TABLE t (a TEXT)", "CREATE TABLE t (a TEXT COLLATE NOCASE)"),
    "autoincrement": (T, T.replace("KEY", "KEY AUTOINCREMENT")),
    "deferred": (
        f"{T};;CREATE TABLE c (p INT REFERENCES t)",
        f"{T};;CREATE TABLE c (p INT REFERENCES t DEFERRABLE INITIALLY DEFERRED)",
    ),
    "strict": ("CREATE TABLE t (a INT)", "CREATE TABLE t (a INT) STRICT"),
    "without rowid": ("CREATE TABLE t (a INT PRIMARY KEY)", "CREATE TABLE t (a INT PRIMARY KEY) WITHOUT ROWID"),
    "order of a key": ("CREATE TABLE t (a, b, PRIMARY KEY (a, b))", "CREATE TABLE t (a, b, PRIMARY KEY (b, a))"),
    "view": (f"{T};;CREATE VIEW v AS SELECT id FROM t", f"{T};;CREATE VIEW v AS SELECT n FROM t"),
}


@pytest.mark.parametrize(("one", "other"), SAME_ON_SQLITE.values(), ids=SAME_ON_SQLITE)
def test_another_spelling_of_the_same_schema_has_the_same_fingerprint_on_sqlite(sqlite_target, one, other):
    assert fingerprint_of(sqlite_target, one) == fingerprint_of(sqlite_target, other)


@pytest.mark.parametrize(("one", "other"), OTHER_ON_SQLITE.values(), ids=OTHER_ON_SQLITE)
def test_another_behaviour_has_another_fingerprint_on_sqlite(sqlite_target, one, other):
    before, after = fingerprint_of(sqlite_target, one), fingerprint_of(sqlite_target, other)
    assert before.hash != after.hash
    assert before.missing_from(after) or after.missing_from(before)


SAME_ON_POSTGRESQL = {
    "schema named": (T, "CREATE TABLE public.t (id INT4 NOT NULL PRIMARY KEY, n CHARACTER VARYING(9))"),
    "order of columns": (T, "CREATE TABLE t (n VARCHAR(9), id INTEGER PRIMARY KEY)"),
    "default's cast": ("CREATE TABLE t (a INT DEFAULT 0)", "CREATE TABLE t (a INT DEFAULT (0)::integer)"),
    "string's cast": ("CREATE TABLE t (a TEXT DEFAULT 'x')", "CREATE TABLE t (a TEXT DEFAULT 'x'::text)"),
    "comment": (T, f"{T};;COMMENT ON TABLE t IS 'posts'"),
    "usual order": (f"{T};;CREATE INDEX i ON t (n)", f"{T};;CREATE INDEX i ON t USING btree (n ASC NULLS LAST)"),
    "usual collation": (T, 'CREATE TABLE t (id INTEGER PRIMARY KEY, n VARCHAR(9) COLLATE "default")'),
    "a dropped column": (T, f"{T};;ALTER TABLE t ADD x INT;;ALTER TABLE t DROP x"),
    "statistics": (T, f"{T};;ALTER TABLE t ALTER n SET STATISTICS 500"),
    "fill factor": (T, f"{T};;ALTER TABLE t SET (fillfactor = 70)"),
    "quoted names": (T, 'CREATE TABLE "t" ("id" INTEGER PRIMARY KEY, "n" VARCHAR(9))'),
    "key as a constraint": (T, "CREATE TABLE t (id INTEGER, n VARCHAR(9), PRIMARY KEY (id))"),
    "named as it would be": (T, "CREATE TABLE t (id INTEGER CONSTRAINT t_pkey PRIMARY KEY, n VARCHAR(9))"),
    "names of types": (
        "CREATE TABLE t (a TIMESTAMPTZ, b BOOL, c DECIMAL(9, 2), d FLOAT8, e BPCHAR(3), f INT8)",
        """CREATE TABLE t (a TIMESTAMP WITH TIME ZONE, b BOOLEAN, c NUMERIC(9,2), d DOUBLE PRECISION,
                           e CHARACTER(3), f BIGINT)""",
    ),
    "serial by hand": (
        "CREATE TABLE t (a SERIAL)",
        """CREATE SEQUENCE t_a_seq AS INTEGER;;CREATE TABLE t (a INT NOT NULL DEFAULT nextval('t_a_seq'));;
           ALTER SEQUENCE t_a_seq OWNED BY t.a""",
    ),
    "boolean in quotes": ("CREATE TABLE t (a BOOL DEFAULT true)", "CREATE TABLE t (a BOOL DEFAULT 'true')"),
    "parentheses in a check": ("CREATE TABLE t (a INT CHECK (a > 0))", "CREATE TABLE t (a INT CHECK (((a) > (0))))"),
    "list in a check": (
        "CREATE TABLE t (a TEXT CHECK (a IN ('x', 'y')))",
        "CREATE TABLE t (a TEXT CHECK (a = ANY (ARRAY['x', 'y'])))",
    ),
    "now": (
        "CREATE TABLE t (a TIMESTAMPTZ DEFAULT now())",
        "CREATE TABLE t (a TIMESTAMPTZ DEFAULT CURRENT_TIMESTAMP)",
    ),
    "key added later": (T, "CREATE TABLE t (id INTEGER, n VARCHAR(9));;ALTER TABLE t ADD PRIMARY KEY (id)"),
    "column added later": (T, "CREATE TABLE t (id INTEGER PRIMARY KEY);;ALTER TABLE t ADD n VARCHAR(9)"),
    "unique as a constraint": ("CREATE TABLE t (a INT UNIQUE)", "CREATE TABLE t (a INT, UNIQUE (a))"),
    "view's spelling": (
        f"{T};;CREATE VIEW v AS SELECT id FROM t",
        f"{T};;CREATE OR REPLACE VIEW public.v AS select  t.id from public.t",
    ),
    "white space in a predicate": (
        f"{T};;CREATE INDEX i ON t (n) WHERE id > 0",
        f"{T};;CREATE INDEX i ON t (n) WHERE ( (id)>(0) )",
    ),
    "default of null": (T, "CREATE TABLE t (id INTEGER PRIMARY KEY, n VARCHAR(9) DEFAULT NULL)"),
    "grants": (T, f"{T};;GRANT SELECT ON t TO PUBLIC"),
    "storage": (T, f"{T};;ALTER TABLE t ALTER n SET STORAGE EXTERNAL;;ALTER TABLE t ALTER n SET COMPRESSION pglz"),
    "usual action": (
        f"{T};;CREATE TABLE c (p INT REFERENCES t)",
        f"{T};;CREATE TABLE c (p INT REFERENCES public.t (id) ON DELETE NO ACTION NOT DEFERRABLE)",
    ),
}
OTHER_ON_POSTGRESQL = {
    "expression": (f"{T};;CREATE INDEX i ON t (lower(n))", f"{T};;CREATE INDEX i ON t (upper(n))"),
    "operator class": (f"{T};;CREATE INDEX i ON t (n)", f"{T};;CREATE INDEX i ON t (n varchar_pattern_ops)"),
    "included column": (f"{T};;CREATE INDEX i ON t (n)", f"{T};;CREATE INDEX i ON t (n) INCLUDE (id)"),
    "nulls first": (f"{T};;CREATE INDEX i ON t (n)", f"{T};;CREATE INDEX i ON t (n NULLS FIRST)"),
    "nulls not distinct": (
        f"{T};;CREATE UNIQUE INDEX i ON t (n)",
        f"{T};;CREATE UNIQUE INDEX i ON t (n) NULLS NOT DISTINCT",
    ),
    "deferrable": (
        f"{T};;CREATE TABLE c (p INT REFERENCES t)",
        f"{T};;CREATE TABLE c (p INT REFERENCES t DEFERRABLE)",
    ),
    "name of a constraint": (
        "CREATE TABLE t (a INT CONSTRAINT x UNIQUE)",
        "CREATE TABLE t (a INT CONSTRAINT y UNIQUE)",
    ),
    "exclusion": ("CREATE TABLE t (a INT)", "CREATE TABLE t (a INT, EXCLUDE (a WITH =))"),
    "identity": (
        "CREATE TABLE t (a INT GENERATED ALWAYS AS IDENTITY)",
        "CREATE TABLE t (a INT GENERATED BY DEFAULT AS IDENTITY)",
    ),
    "serial": ("CREATE TABLE t (a SERIAL)", "CREATE TABLE t (a INT NOT NULL)"),
    "sequence's owner": (
        "CREATE TABLE t (a SERIAL)",
        "CREATE TABLE t (a SERIAL);;ALTER SEQUENCE t_a_seq OWNED BY NONE",
    ),
    "sequence's step": ("CREATE SEQUENCE s", "CREATE SEQUENCE s INCREMENT 2"),
    "generated": (
        "CREATE TABLE t (a INT, b INT GENERATED ALWAYS AS (a + 1) STORED)",
        "CREATE TABLE t (a INT, b INT GENERATED ALWAYS AS (a + 2) STORED)",
    ),
    "precision": ("CREATE TABLE t (a NUMERIC(9, 2))", "CREATE TABLE t (a NUMERIC(9, 3))"),
    "enum value": ("CREATE TYPE m AS ENUM ('a')", "CREATE TYPE m AS ENUM ('a', 'b')"),
    "enum with a comma": ("CREATE TYPE m AS ENUM ('a,b')", "CREATE TYPE m AS ENUM ('a', 'b')"),
    "domain's check": (
        "CREATE DOMAIN d AS INT CHECK (VALUE > 0)",
        "CREATE DOMAIN d AS INT CHECK (VALUE > 1)",
    ),
    "domain not null": ("CREATE DOMAIN d AS INT", "CREATE DOMAIN d AS INT NOT NULL"),
    "function's body": (
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 2'",
    ),
    "forced row security": (T, f"{T};;ALTER TABLE t FORCE ROW LEVEL SECURITY"),
    "policy": (
        f"{T};;CREATE POLICY p ON t USING (id > 0)",
        f"{T};;CREATE POLICY p ON t USING (id > 1)",
    ),
    "materialized": (
        f"{T};;CREATE VIEW v AS SELECT id FROM t",
        f"{T};;CREATE MATERIALIZED VIEW v AS SELECT id FROM t",
    ),
    "string with the schema's name": (
        "CREATE TABLE t (a TEXT DEFAULT 'public.x')",
        "CREATE TABLE t (a TEXT DEFAULT 'x')",
    ),
    "partitioned": ("CREATE TABLE t (a INT)", "CREATE TABLE t (a INT) PARTITION BY RANGE (a)"),
}


@pytest.mark.parametrize(("one", "other"), SAME_ON_POSTGRESQL.values(), ids=SAME_ON_POSTGRESQL)
def test_another_spelling_of_the_same_schema_has_the_same_fingerprint_on_postgresql(postgres_target, one, other):
    assert fingerprint_of(postgres_target, one) == fingerprint_of(postgres_target, other)


@pytest.mark.parametrize(("one", "other"), OTHER_ON_POSTGRESQL.values(), ids=OTHER_ON_POSTGRESQL)
def test_another_behaviour_has_another_fingerprint_on_postgresql(postgres_target, one, other):
    before, after = fingerprint_of(postgres_target, one), fingerprint_of(postgres_target, other)
    assert before.hash != after.hash
    assert before.missing_from(after) or after.missing_from(before)


def test_every_schema_on_the_search_path_counts(postgres_target):
    path = "CREATE SCHEMA other;;SET LOCAL search_path = public, other"
    found = fingerprint_of(postgres_target, f"{path};;CREATE TABLE other.t (a INT)")
    assert [str(fact) for fact in found.facts] == ["column t.a integer", "table t"]


def test_what_a_role_may_do_does_not_change_the_fingerprint(postgres_target):
    upgrade(postgres_target)
    with connected(postgres_target) as connection:
        before = read_fingerprint(connection)
        connection.exec_driver_sql("CREATE ROLE nobody_here")
        connection.exec_driver_sql("SET LOCAL ROLE nobody_here")
        assert read_fingerprint(connection) == before
        connection.rollback()


@given(st.lists(st.sampled_from(["'a '' b'", '"X y"', "(", ")", "status", "IN", "<=", "12.5", ",", "-", "x"])))
def test_spelling_a_text_twice_changes_nothing_and_keeps_its_strings(parts):
    once = spelled(tokens(" ".join(parts)))
    assert spelled(tokens(once)) == once
    assert [part for part in tokens(once) if part[0] in "'\""] == [part for part in parts if part[0] in "'\""]
