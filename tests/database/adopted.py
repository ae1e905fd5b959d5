"""Sites that were made without our history, and what of them differs."""

from __future__ import annotations

from tests.database.rows import FIRST, connected, fill, upgrade

CARRIED = {
    "extra column": ["ALTER TABLE users ADD COLUMN nickname VARCHAR(50)"],
    "extra column with a default": ["ALTER TABLE blogs ADD COLUMN likes INTEGER NOT NULL DEFAULT 0"],
    "extra table": ["CREATE TABLE reviews (id INTEGER PRIMARY KEY, blog_id INTEGER NOT NULL)"],
    "extra index": ["CREATE INDEX ix_blogs_title ON blogs (title)"],
    "redundant uniqueness": ["CREATE UNIQUE INDEX blogs_slug_key ON blogs (slug)"],
    "missing index": ["DROP INDEX ix_blogs_created_at"],
    "other index": ["DROP INDEX ix_blogs_status", "CREATE INDEX ix_blogs_status ON blogs (title)"],
    "own unique column": [
        "ALTER TABLE blogs ADD COLUMN shelf VARCHAR(9)",
        "CREATE UNIQUE INDEX one_shelf ON blogs (shelf)",
    ],
    "view": ["CREATE VIEW names AS SELECT username FROM users"],
}
CARRIED_BY_POSTGRESQL = {
    "missing default": ["ALTER TABLE blogs ALTER COLUMN view_count DROP DEFAULT"],
    "unique constraint": ["ALTER TABLE blogs ADD CONSTRAINT blogs_slug_key UNIQUE (slug)"],
    "other name": ["ALTER TABLE blogs RENAME CONSTRAINT blogs_author_id_fkey TO fk_author"],
    "other action": [
        "ALTER TABLE blogs DROP CONSTRAINT blogs_author_id_fkey",
        "ALTER TABLE blogs ADD CONSTRAINT blogs_author_id_fkey FOREIGN KEY (author_id) REFERENCES users",
    ],
}
REFUSED = {
    "lost uniqueness": ["DROP INDEX ix_blogs_slug", "CREATE INDEX ix_blogs_slug ON blogs (slug)"],
    "new uniqueness": ["CREATE UNIQUE INDEX one_title ON blogs (title)"],
    "column that a later revision adds": ["ALTER TABLE blogs ADD COLUMN content_html TEXT"],
    "table that a later revision makes": ["CREATE TABLE redirects (path VARCHAR(500) PRIMARY KEY)"],
    "unique default": [
        "ALTER TABLE blogs ADD COLUMN shelf VARCHAR(9) DEFAULT 'a'",
        "UPDATE blogs SET shelf = NULL",
        "CREATE UNIQUE INDEX one_shelf ON blogs (shelf)",
    ],
    "uniqueness of an own column with one of ours": [
        "ALTER TABLE blogs ADD COLUMN shelf VARCHAR(9)",
        "CREATE UNIQUE INDEX one_shelf ON blogs (shelf, status)",
    ],
    "view of a column that a later revision changes": ["CREATE VIEW titles AS SELECT title FROM blogs"],
    "missing column": ["ALTER TABLE users DROP COLUMN bio"],
}
REFUSED_BY_SQLITE = {
    "own collation": ["ALTER TABLE blogs ADD COLUMN shelf TEXT COLLATE NOCASE"],
    "own check": ["ALTER TABLE blogs ADD COLUMN shelf TEXT CHECK (shelf <> '')"],
}
REFUSED_BY_POSTGRESQL = {
    "column that the code does not fill": [
        "DELETE FROM blogs",
        "DELETE FROM users",
        "ALTER TABLE users ADD COLUMN must INTEGER NOT NULL",
    ],
    "time without zone": ["ALTER TABLE users ALTER COLUMN created_at TYPE TIMESTAMP"],
    "uniqueness of a column that lost its default": [
        "ALTER TABLE users ALTER COLUMN auth_provider DROP DEFAULT",
        "CREATE UNIQUE INDEX one_provider ON users (auth_provider)",
    ],
    "nullable": ["ALTER TABLE blogs ALTER COLUMN slug DROP NOT NULL"],
    "JSON instead of JSONB": ["DROP INDEX ix_blogs_tags_gin", "ALTER TABLE blogs ALTER COLUMN tags TYPE JSON"],
    "invalid index": ["UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_blogs_status'::regclass"],
    "another default": ["ALTER TABLE users ALTER COLUMN role SET DEFAULT 'admin'"],
    "foreign key not validated": [
        "ALTER TABLE blogs DROP CONSTRAINT blogs_author_id_fkey",
        "ALTER TABLE blogs ADD CONSTRAINT c FOREIGN KEY (author_id) REFERENCES users ON DELETE CASCADE NOT VALID",
    ],
}


def adopted_site(target, statements=()):
    upgrade(target, FIRST)
    fill(target)
    run(target, [*statements, "DROP TABLE alembic_version", "DROP TABLE migration_journal"])


def run(target, statements):
    with connected(target) as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def rows_of(target):
    """Return the rows of the two first tables, in the columns that they had from the beginning."""
    with connected(target) as connection:
        return [
            connection.exec_driver_sql(f"SELECT {columns} FROM {table} ORDER BY 1").all()
            for table, columns in (
                ("users", "uuid, username, email, role, is_active, created_at"),
                ("blogs", "id, author_id, title, slug, content, summary, view_count, status, tags, created_at"),
            )
        ]
