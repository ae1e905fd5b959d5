"""create blog versions

Earlier states of a post's text, numbered for each post, and what writers have not saved yet. blogs.version says which
number the post's own text has; every post that is there has version 1, whose text is kept when it is first changed.
Locks: ACCESS EXCLUSIVE on blogs for a moment, for the column and the foreign key; nothing is rewritten. SHARE ROW
EXCLUSIVE on users for a moment, for the other foreign key.
downgrade drops the table: the posts stay as they are, and their earlier versions and unsaved texts are lost.

Revision ID: 4f8a2c6e1b93
Revises: 9d1e47a0c6b8
Create Date: 2026-11-28 17:05:00+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "4f8a2c6e1b93"
down_revision = "9d1e47a0c6b8"
branch_labels = None
depends_on = None

json = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    op.add_column("blogs", sa.Column("version", sa.Integer, nullable=False, server_default="1"))
    op.create_table(
        "blog_versions",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("blog_id", sa.Uuid, sa.ForeignKey("blogs.id", ondelete="CASCADE"), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("base", sa.Integer),
        sa.Column("title", sa.String(300), nullable=False),
        sa.Column("slug", sa.String(300)),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("summary", sa.String(1000)),
        sa.Column("tags", json, nullable=False),
        sa.Column("images_url", json),
        sa.Column("cover_alt", sa.String(500)),
        sa.Column("note", sa.String(500)),
        sa.Column("saved_by_id", sa.Uuid, sa.ForeignKey("users.uuid", ondelete="SET NULL")),
        sa.Column("saved_by_name", sa.String(255), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind IN ('publish', 'save', 'restore', 'autosave')", name="kind"),
    )
    op.create_index("ix_blog_versions_blog_number", "blog_versions", ["blog_id", "number"], unique=True)
    op.create_index("ix_blog_versions_saved_by_id", "blog_versions", ["saved_by_id"])


def downgrade() -> None:
    op.drop_table("blog_versions")
    with op.batch_alter_table("blogs") as blogs:
        blogs.drop_column("version")
