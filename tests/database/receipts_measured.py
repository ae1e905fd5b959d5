"""The tables on which statements are measured, and what statements outside of a transaction want."""

from __future__ import annotations

SCHEMA = """
CREATE TABLE parent (id int PRIMARY KEY, name text);
CREATE TABLE item (
    id int PRIMARY KEY, parent_id int REFERENCES parent, small int NOT NULL DEFAULT 0, title varchar(300), note text,
    price numeric(8, 2), at timestamptz NOT NULL DEFAULT now(), at_local timestamp, document json, filled int,
    code text, CONSTRAINT filled_there CHECK (filled IS NOT NULL)
);
CREATE INDEX item_title ON item (title);
CREATE UNIQUE INDEX item_code ON item (code);
ALTER TABLE item ADD CONSTRAINT small_later CHECK (small >= 0) NOT VALID;
CREATE TABLE child (id int PRIMARY KEY, item_id int);
ALTER TABLE child ADD CONSTRAINT child_later FOREIGN KEY (item_id) REFERENCES item NOT VALID;
CREATE TABLE log (id int, at date) PARTITION BY RANGE (at);
CREATE TABLE log_2025 PARTITION OF log FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE log_2026 (id int, at date);
CREATE MATERIALIZED VIEW summary AS SELECT parent_id, count(*) FROM item GROUP BY 1;
CREATE UNIQUE INDEX summary_parent ON summary (parent_id);
CREATE VIEW titles AS SELECT title FROM item;
CREATE TYPE mood AS ENUM ('calm', 'merry');
CREATE TABLE person (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, mood mood);
CREATE SEQUENCE numbers;
CREATE SCHEMA elsewhere;
CREATE FUNCTION pass() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER quiet BEFORE UPDATE ON parent FOR EACH ROW EXECUTE FUNCTION pass();
INSERT INTO parent SELECT n, n FROM generate_series(1, 20) n;
INSERT INTO item (id, parent_id, title, note, price, filled, code, document)
    SELECT n, n % 20 + 1, n, n, n, n, n, '{}' FROM generate_series(1, 500) n;
INSERT INTO child SELECT n, n FROM generate_series(1, 100) n;
INSERT INTO log SELECT n, '2025-06-01' FROM generate_series(1, 100) n;
INSERT INTO log_2026 SELECT n, '2026-06-01' FROM generate_series(1, 100) n;
INSERT INTO person (mood) SELECT 'calm' FROM generate_series(1, 20);
REFRESH MATERIALIZED VIEW summary;
ANALYZE
"""

# What others hold, so that the statement waits and can be looked at; then what it has or wants, and if readers wait.
SHARED, READ = "LOCK TABLE item IN SHARE UPDATE EXCLUSIVE MODE", "SELECT FROM log_2025"
PASSING, WHOLE, ROWS = "ShareUpdateExclusiveLock", "AccessExclusiveLock", "RowExclusiveLock"
OUTSIDE: dict[str, tuple[str, dict[str, str]]] = {
    "CREATE INDEX CONCURRENTLY x ON item (note)": (SHARED, {"item": PASSING}),
    "CREATE UNIQUE INDEX CONCURRENTLY x ON item (id, note)": (SHARED, {"item": PASSING}),
    "DROP INDEX CONCURRENTLY item_title": (SHARED, {"item": PASSING}),
    "REINDEX INDEX CONCURRENTLY item_title": (SHARED, {"item": PASSING}),
    "REINDEX TABLE CONCURRENTLY item": (SHARED, {"item": PASSING}),
    "ALTER TABLE log DETACH PARTITION log_2025 CONCURRENTLY": (READ, {"log": PASSING, "log_2025": WHOLE}),
    "ALTER TABLE item VALIDATE CONSTRAINT small_later": (SHARED, {"item": PASSING}),
    "VACUUM item": (SHARED, {"item": PASSING}),
    "VACUUM (ANALYZE) item": (SHARED, {"item": PASSING}),
    "ANALYZE item": (SHARED, {"item": PASSING}),
    "VACUUM FULL item": (SHARED, {"item": WHOLE}),
    "VACUUM (FULL, ANALYZE) item": (SHARED, {"item": WHOLE}),
    "CLUSTER item USING item_pkey": (SHARED, {"item": WHOLE}),
    "UPDATE item SET note = 'x' WHERE id < 9": ("LOCK TABLE item IN SHARE MODE", {"item": ROWS}),
}
