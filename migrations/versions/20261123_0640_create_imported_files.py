"""create imported files

Remembers which file became which post, so that a second import changes nothing, and keeps what the site has no
place for yet (further authors, the file's own keys).
Locks: SHARE ROW EXCLUSIVE on blogs for a moment, for the foreign key.
downgrade drops the table: the next import of the same folder makes its posts anew, beside the old ones.

Revision ID: c05d1e4a8f37
Revises: 71e3f58bd90c
Create Date: 2026-11-23 06:40:00+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "c05d1e4a8f37"
down_revision = "71e3f58bd90c"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "imported_files",
        sa.Column("source", sa.String(500), primary_key=True),
        sa.Column("blog_id", sa.Uuid, sa.ForeignKey("blogs.id", ondelete="CASCADE"), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("front_matter", sa.JSON().with_variant(JSONB(), "postgresql"), nullable=False),
        sa.Column("imported_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_imported_files_blog_id", "imported_files", ["blog_id"])


def downgrade() -> None:
    op.drop_table("imported_files")
