"""create roles

What a person's role means: users.role names a row of roles, whose permissions list the roles of the program that it
has the rights of. Roles that older sites know are mapped; one that nobody knows gets a row without rights.
Locks: none that anybody waits for; the table is new, and users is only read.
downgrade drops the table; the roles of people stay as they are.

Revision ID: b7f0d2a94c15
Revises: e7a4d05b9c62
Create Date: 2026-11-28 14:05:00+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "b7f0d2a94c15"
down_revision = "e7a4d05b9c62"
branch_labels = None
depends_on = None

# accepted: schema-and-data: without its rows the new table means nothing
# accepted: unbatched-data: one row for each role, into a table that is new

json = sa.JSON().with_variant(JSONB(), "postgresql")

ROLES = {
    "admin": "Runs the site: people, settings, database",
    "editor": "Changes and publishes the posts of everybody",
    "author": "Writes and publishes posts of their own",
    "contributor": "Writes drafts, which an editor publishes",
    "user": "Has an account and reads",
}
FOUND = {"superadmin": "admin", "administrator": "admin", "manager": "editor", "moderator": "editor"}


def upgrade() -> None:
    op.create_table(
        "roles",
        sa.Column("name", sa.String(20), primary_key=True),
        sa.Column("description", sa.String(200), nullable=False, server_default=""),
        sa.Column("permissions", json, nullable=False, server_default="[]"),
    )
    for name, says in ROLES.items():
        op.execute(f"INSERT INTO roles (name, description, permissions) VALUES ('{name}', '{says}', '[\"{name}\"]')")
    op.execute(copy_roles_of_people())


def copy_roles_of_people() -> str:
    """Return the statement that gives every other role in use its row, whatever the case of its letters."""
    meanings = {name: name for name in ROLES} | FOUND
    cases = " ".join(f"WHEN '{found}' THEN '[\"{means}\"]'" for found, means in meanings.items())
    kind = "JSONB" if op.get_context().dialect.name == "postgresql" else "TEXT"
    return (
        f"INSERT INTO roles (name, permissions) SELECT role, CAST(CASE lower(role) {cases} ELSE '[]' END AS {kind}) "
        "FROM (SELECT DISTINCT role FROM users) AS found WHERE role NOT IN (SELECT name FROM roles)"
    )


def downgrade() -> None:
    op.drop_table("roles")
