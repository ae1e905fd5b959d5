"""refer to roles

users.role names a row of roles from now on; a role in use cannot be removed.
Locks: SHARE ROW EXCLUSIVE on users while the roles of all people are compared, some ms for thousands of them; they are
still read. SQLite copies the table.
downgrade loses nothing.

Revision ID: 2c7d5b81e0a6
Revises: b7f0d2a94c15
Create Date: 2026-11-28 14:06:00+00:00
"""

from __future__ import annotations

from alembic import op

revision = "2c7d5b81e0a6"
down_revision = "b7f0d2a94c15"
branch_labels = None
depends_on = None

# accepted: adding-foreign-key-constraint: people are few, and comparing their roles takes some ms
# accepted: constraint-missing-not-valid: as above, a few ms


def upgrade() -> None:
    with op.batch_alter_table("users") as users:
        users.create_foreign_key("users_role_fkey", "roles", ["role"], ["name"], ondelete="RESTRICT")


def downgrade() -> None:
    with op.batch_alter_table("users") as users:
        users.drop_constraint("users_role_fkey", type_="foreignkey")
