"""Two ways to say one schema, and two schemas that look alike and are not; statements are parted by ;;."""

from __future__ import annotations

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
    "explicit null": (T, "CREATE TABLE t (id INTEGER PRIMARY KEY, n VARCHAR(9) NULL)"),
    "if not exists": (T, "CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, n VARCHAR(9))"),
    "main.": (T, "CREATE TABLE main.t (id INTEGER PRIMARY KEY, n VARCHAR(9))"),
    "single quoted names": (T, "CREATE TABLE 't' ('id' INTEGER PRIMARY KEY, 'n' VARCHAR(9))"),
    "pk not null": (T, "CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY, n VARCHAR(9))"),
    "pk named": (T, "CREATE TABLE t (id INTEGER CONSTRAINT t_pkey PRIMARY KEY, n VARCHAR(9))"),
    "quoted type": (T, 'CREATE TABLE t (id INTEGER PRIMARY KEY, n "VARCHAR(9)")'),
    "character varying": (T, "CREATE TABLE t (id INTEGER PRIMARY KEY, n CHARACTER VARYING(9))"),
    "int for integer (no key)": ("CREATE TABLE t (a INTEGER)", "CREATE TABLE t (a INT)"),
    "bool": ("CREATE TABLE t (a BOOLEAN)", "CREATE TABLE t (a BOOL)"),
    "text clob": ("CREATE TABLE t (a TEXT)", "CREATE TABLE t (a CLOB)"),
    "datetime timestamp": ("CREATE TABLE t (a DATETIME)", "CREATE TABLE t (a TIMESTAMP)"),
    "decimal numeric": ("CREATE TABLE t (a DECIMAL(9,2))", "CREATE TABLE t (a NUMERIC(9, 2))"),
    "default dq": ("CREATE TABLE t (a TEXT DEFAULT 'x')", 'CREATE TABLE t (a TEXT DEFAULT "x")'),
    "default sign": ("CREATE TABLE t (a INT DEFAULT -1)", "CREATE TABLE t (a INT DEFAULT '-1')"),
    "default plus": ("CREATE TABLE t (a INT DEFAULT 1)", "CREATE TABLE t (a INT DEFAULT +1)"),
    "default true": ("CREATE TABLE t (a BOOLEAN DEFAULT 1)", "CREATE TABLE t (a BOOLEAN DEFAULT TRUE)"),
    "default false paren": ("CREATE TABLE t (a BOOLEAN DEFAULT 0)", "CREATE TABLE t (a BOOLEAN DEFAULT (false))"),
    "default ct": (
        "CREATE TABLE t (a DATETIME DEFAULT CURRENT_TIMESTAMP)",
        "CREATE TABLE t (a DATETIME DEFAULT (CURRENT_TIMESTAMP))",
    ),
    "default ct fn": (
        "CREATE TABLE t (a DATETIME DEFAULT CURRENT_TIMESTAMP)",
        "CREATE TABLE t (a DATETIME DEFAULT (datetime('now')))",
    ),
    "default num on numeric": ("CREATE TABLE t (a NUMERIC DEFAULT 0)", "CREATE TABLE t (a NUMERIC DEFAULT '0')"),
    "default num on real": ("CREATE TABLE t (a REAL DEFAULT 0)", "CREATE TABLE t (a REAL DEFAULT 0.0)"),
    "default named": ("CREATE TABLE t (a INT DEFAULT 0)", "CREATE TABLE t (a INT CONSTRAINT d DEFAULT 0)"),
    "check ==": ("CREATE TABLE t (a INT CHECK (a = 0))", "CREATE TABLE t (a INT CHECK (a == 0))"),
    "check !=": ("CREATE TABLE t (a INT CHECK (a <> 0))", "CREATE TABLE t (a INT CHECK (a != 0))"),
    "check qualified": ("CREATE TABLE t (a INT CHECK (a > 0))", "CREATE TABLE t (a INT CHECK (t.a > 0))"),
    "check inner parens": (
        "CREATE TABLE t (a INT CHECK (a > 0 AND a < 9))",
        "CREATE TABLE t (a INT CHECK ((a > 0) AND (a < 9)))",
    ),
    "check twice": ("CREATE TABLE t (a INT CHECK (a > 0))", "CREATE TABLE t (a INT CHECK (a > 0), CHECK (a > 0))"),
    "check at table": ("CREATE TABLE t (a INT CHECK (a > 0))", "CREATE TABLE t (a INT, CHECK (a > 0))"),
    "fk named": (
        f"{T};;CREATE TABLE c (p INTEGER REFERENCES t (id))",
        f"{T};;CREATE TABLE c (p INTEGER CONSTRAINT k REFERENCES t (id))",
    ),
    "fk match": (
        f"{T};;CREATE TABLE c (p INTEGER REFERENCES t (id))",
        f"{T};;CREATE TABLE c (p INTEGER REFERENCES t (id) MATCH SIMPLE)",
    ),
    "fk initially immediate": (
        f"{T};;CREATE TABLE c (p INTEGER REFERENCES t (id))",
        f"{T};;CREATE TABLE c (p INTEGER REFERENCES t (id) DEFERRABLE INITIALLY IMMEDIATE)",
    ),
    "fk order of actions": (
        f"{T};;CREATE TABLE c (p INTEGER REFERENCES t (id) ON DELETE CASCADE ON UPDATE CASCADE)",
        f"{T};;CREATE TABLE c (p INTEGER REFERENCES t (id) ON UPDATE CASCADE ON DELETE CASCADE)",
    ),
    "fk single quoted": (
        f"{T};;CREATE TABLE c (p INTEGER REFERENCES t (id))",
        f"{T};;CREATE TABLE c (p INTEGER, FOREIGN KEY ('p') REFERENCES 't' ('id'))",
    ),
    "unique asc": ("CREATE TABLE t (a INT UNIQUE)", "CREATE TABLE t (a INT, UNIQUE (a ASC))"),
    "index if not exists": (f"{T};;CREATE INDEX i ON t (n)", f"{T};;CREATE INDEX IF NOT EXISTS main.i ON t (n)"),
    "index paren column": (f"{T};;CREATE INDEX i ON t (n)", f"{T};;CREATE INDEX i ON t ((n))"),
    "index expr qualified": (
        f"{T};;CREATE INDEX i ON t (n) WHERE id > 0",
        f"{T};;CREATE INDEX i ON t (n) WHERE t.id > 0",
    ),
    "column added later": (T, "CREATE TABLE t (id INTEGER PRIMARY KEY);;ALTER TABLE t ADD COLUMN n VARCHAR(9)"),
    "renamed": (
        T,
        "CREATE TABLE x (id INTEGER PRIMARY KEY, m VARCHAR(9));;ALTER TABLE x RENAME TO t;;ALTER TABLE t RENAME COLUMN m TO n",  # noqa: E501
    ),
    "trigger spelling": (
        f"{T};;CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; END",
        f"{T};;create trigger IF NOT EXISTS g after insert on t for each row begin select 1; end",
    ),
    "view": (
        f"{T};;CREATE VIEW v AS SELECT id FROM t",
        f'{T};;CREATE VIEW IF NOT EXISTS main.v AS select "id" from "t"',
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
    "a key that is not the row's id": (T, T.replace("KEY", "KEY DESC")),
    "INT as a key": (T, T.replace("INTEGER", "INT")),
    "parentheses that matter": (
        "CREATE TABLE t (a INT CHECK (a > 0 AND (a < 9 OR a = 99)))",
        "CREATE TABLE t (a INT CHECK (a > 0 AND a < 9 OR a = 99))",
    ),
    "negation": (
        "CREATE TABLE t (a INT, b INT CHECK (NOT (a AND b)))",
        "CREATE TABLE t (a INT, b INT CHECK (NOT a AND b))",
    ),
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
    "explicit null": (T, "CREATE TABLE t (id INTEGER PRIMARY KEY, n VARCHAR(9) NULL)"),
    "match simple": (
        f"{T};;CREATE TABLE c (p INT REFERENCES t)",
        f"{T};;CREATE TABLE c (p INT REFERENCES t MATCH SIMPLE)",
    ),
    "without oids": (T, "CREATE TABLE t (id INTEGER PRIMARY KEY, n VARCHAR(9)) WITHOUT OIDS"),
    "using heap": (T, "CREATE TABLE t (id INTEGER PRIMARY KEY, n VARCHAR(9)) USING heap"),
    "default varchar cast": (
        "CREATE TABLE t (a VARCHAR(9) DEFAULT 'x')",
        "CREATE TABLE t (a VARCHAR(9) DEFAULT 'x'::text)",
    ),
    "default parens": ("CREATE TABLE t (a INT DEFAULT 7)", "CREATE TABLE t (a INT DEFAULT (7))"),
    "default quoted int": ("CREATE TABLE t (a INT DEFAULT 7)", "CREATE TABLE t (a INT DEFAULT '7')"),
    "default int on numeric": ("CREATE TABLE t (a NUMERIC DEFAULT 0)", "CREATE TABLE t (a NUMERIC DEFAULT 0.0)"),
    "default int bigint": ("CREATE TABLE t (a BIGINT DEFAULT 0)", "CREATE TABLE t (a BIGINT DEFAULT 0::bigint)"),
    "default smallint": ("CREATE TABLE t (a SMALLINT DEFAULT 0)", "CREATE TABLE t (a SMALLINT DEFAULT '0')"),
    "default int on float": ("CREATE TABLE t (a FLOAT8 DEFAULT 0)", "CREATE TABLE t (a FLOAT8 DEFAULT '0')"),
    "default negative": ("CREATE TABLE t (a INT DEFAULT -1)", "CREATE TABLE t (a INT DEFAULT '-1')"),
    "default bool": ("CREATE TABLE t (a BOOL DEFAULT false)", "CREATE TABLE t (a BOOL DEFAULT 'f'::bool)"),
    "default bool cast int": ("CREATE TABLE t (a BOOL DEFAULT false)", "CREATE TABLE t (a BOOL DEFAULT 0::bool)"),
    "default jsonb json cast": (
        "CREATE TABLE t (a JSONB DEFAULT '[]')",
        "CREATE TABLE t (a JSONB DEFAULT '[]'::json::jsonb)",
    ),
    "default null varchar len": (
        "CREATE TABLE t (a VARCHAR(9))",
        "CREATE TABLE t (a VARCHAR(9) DEFAULT (NULL)::varchar(9))",
    ),
    "now transaction_timestamp": (
        "CREATE TABLE t (a TIMESTAMPTZ DEFAULT now())",
        "CREATE TABLE t (a TIMESTAMPTZ DEFAULT transaction_timestamp())",
    ),
    "now string": (
        "CREATE TABLE t (a TIMESTAMPTZ DEFAULT now())",
        "CREATE TABLE t (a TIMESTAMPTZ DEFAULT 'now'::text::timestamptz)",
    ),
    "ct precision6": (
        "CREATE TABLE t (a TIMESTAMPTZ DEFAULT now())",
        "CREATE TABLE t (a TIMESTAMPTZ DEFAULT CURRENT_TIMESTAMP(6))",
    ),
    "timestamptz(6)": ("CREATE TABLE t (a TIMESTAMPTZ)", "CREATE TABLE t (a TIMESTAMPTZ(6))"),
    "numeric no scale": ("CREATE TABLE t (a NUMERIC(9))", "CREATE TABLE t (a NUMERIC(9,0))"),
    "check casts any": (
        "CREATE TABLE t (a VARCHAR(9) CHECK (a IN ('x','y')))",
        "CREATE TABLE t (a VARCHAR(9) CHECK (a = ANY (ARRAY['x'::text,'y'::text])))",
    ),
    "check casts any2": (
        "CREATE TABLE t (a VARCHAR(9) CHECK (a IN ('x','y')))",
        "CREATE TABLE t (a VARCHAR(9) CHECK ((a)::text = ANY ((ARRAY['x'::character varying, 'y'::character varying])::text[])))",  # noqa: E501
    ),
    "check ne": ("CREATE TABLE t (a INT CHECK (a <> 0))", "CREATE TABLE t (a INT CHECK (a != 0))"),
    "check between": (
        "CREATE TABLE t (a INT CHECK (a BETWEEN 1 AND 5))",
        "CREATE TABLE t (a INT CHECK (a >= 1 AND a <= 5))",
    ),
    "check qualified": ("CREATE TABLE t (a INT CHECK (a > 0))", "CREATE TABLE t (a INT CHECK (t.a > 0))"),
    "unique later": (
        "CREATE TABLE t (a INT UNIQUE)",
        "CREATE TABLE t (a INT);;CREATE UNIQUE INDEX t_a_key ON t (a);;ALTER TABLE t ADD UNIQUE USING INDEX t_a_key",
    ),
    "unique nulls distinct": ("CREATE TABLE t (a INT UNIQUE)", "CREATE TABLE t (a INT UNIQUE NULLS DISTINCT)"),
    "index fillfactor": (f"{T};;CREATE INDEX i ON t (n)", f"{T};;CREATE INDEX i ON t (n) WITH (fillfactor=70)"),
    "index varchar text_ops": (f"{T};;CREATE INDEX i ON t (n)", f"{T};;CREATE INDEX i ON t (n varchar_ops)"),
    "index text opclass": (
        "CREATE TABLE t (n TEXT);;CREATE INDEX i ON t (n)",
        "CREATE TABLE t (n TEXT);;CREATE INDEX i ON t (n text_ops)",
    ),
    "index paren column": (f"{T};;CREATE INDEX i ON t (n)", f"{T};;CREATE INDEX i ON t ((n))"),
    "index desc nulls first": (f"{T};;CREATE INDEX i ON t (n DESC)", f"{T};;CREATE INDEX i ON t (n DESC NULLS FIRST)"),
    "gin fastupdate": (
        "CREATE TABLE t (a JSONB);;CREATE INDEX i ON t USING gin (a)",
        "CREATE TABLE t (a JSONB);;CREATE INDEX i ON t USING gin (a jsonb_ops) WITH (fastupdate=off)",
    ),
    "pred cast": (
        f"{T};;CREATE INDEX i ON t (n) WHERE n = 'x'",
        f"{T};;CREATE INDEX i ON t (n) WHERE n::text = 'x'::text",
    ),
    "identity start": (
        "CREATE TABLE t (a INT GENERATED ALWAYS AS IDENTITY)",
        "CREATE TABLE t (a INT GENERATED ALWAYS AS IDENTITY (START WITH 1 INCREMENT BY 1))",
    ),
    "function dollar": (
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE OR REPLACE FUNCTION public.f() RETURNS integer AS $x$SELECT 1$x$ LANGUAGE sql VOLATILE CALLED ON NULL INPUT SECURITY INVOKER COST 100 PARALLEL UNSAFE",  # noqa: E501
    ),
    "trigger proc": (
        f"{T};;CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';;CREATE TRIGGER g AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()",  # noqa: E501
        f"{T};;CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';;CREATE TRIGGER g AFTER INSERT ON public.t FOR ROW EXECUTE PROCEDURE public.f()",  # noqa: E501
    ),
    "enum added": ("CREATE TYPE m AS ENUM ('a','b')", "CREATE TYPE m AS ENUM ('a');;ALTER TYPE m ADD VALUE 'b'"),
    "fk not valid validated": (
        f"{T};;CREATE TABLE c (p INT REFERENCES t)",
        f"{T};;CREATE TABLE c (p INT);;ALTER TABLE c ADD FOREIGN KEY (p) REFERENCES t NOT VALID;;ALTER TABLE c VALIDATE CONSTRAINT c_p_fkey",  # noqa: E501
    ),
    "array dims": ("CREATE TABLE t (a INT[])", "CREATE TABLE t (a INT[3][3])"),
    "float53": ("CREATE TABLE t (a FLOAT(53))", "CREATE TABLE t (a FLOAT8)"),
    "like": (
        T,
        "CREATE TABLE x (id INTEGER PRIMARY KEY, n VARCHAR(9));;CREATE TABLE t (LIKE x INCLUDING ALL);;DROP TABLE x",
    ),
    "type changed later": (
        T,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, n VARCHAR(5));;ALTER TABLE t ALTER n TYPE VARCHAR(9)",
    ),
    "policy for all": (
        f"{T};;CREATE POLICY p ON t USING (id > 0)",
        f"{T};;CREATE POLICY p ON t AS PERMISSIVE FOR ALL TO PUBLIC USING ((id > 0))",
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
    "date of a moment": (
        "CREATE TABLE t (a TIMESTAMP DEFAULT '2020-01-01 12:00')",
        "CREATE TABLE t (a TIMESTAMP DEFAULT '2020-01-01 12:00'::date)",
    ),
    "text that is cut": ("CREATE TABLE t (a TEXT DEFAULT 'abc')", "CREATE TABLE t (a TEXT DEFAULT 'abc'::varchar(2))"),
    "another number": ("CREATE TABLE t (a NUMERIC DEFAULT 0)", "CREATE TABLE t (a NUMERIC DEFAULT 0.5)"),
    "unique index for a constraint": (
        "CREATE TABLE t (a INT UNIQUE)",
        "CREATE TABLE t (a INT);;CREATE UNIQUE INDEX t_a_key ON t (a)",
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
