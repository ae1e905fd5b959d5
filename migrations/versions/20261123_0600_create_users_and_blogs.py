"""create users and blogs

The schema of sites that this CMS adopts, exactly: what ``create_all()`` made there from their two models.
Locks: none that anybody waits for; the tables are new.
downgrade drops both tables with everything in them.

Revision ID: 6a1f0c93e2b4
Revises:
Create Date: 2026-11-23 06:00:00+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.schema import CreateIndex, CreateTable

revision = "6a1f0c93e2b4"
down_revision = None
branch_labels = None
depends_on = None

# Tables of their own metadata, without a naming convention: PostgreSQL then gives its default names and SQLite
# none, which is what the sites to adopt have.
tables = sa.MetaData()
moment = sa.DateTime(timezone=True)
json = sa.JSON().with_variant(JSONB(), "postgresql")

users = sa.Table(
    "users",
    tables,
    sa.Column("uuid", sa.Uuid, primary_key=True),
    sa.Column("username", sa.String(50), nullable=False, unique=True, index=True),
    sa.Column("email", sa.String(255), nullable=False, unique=True, index=True),
    sa.Column("password_hash", sa.String(255)),
    sa.Column("auth_provider", sa.String(50), nullable=False, server_default="email"),
    sa.Column("provider_id", sa.String(255), index=True),
    sa.Column("first_name", sa.String(100)),
    sa.Column("last_name", sa.String(100)),
    sa.Column("bio", sa.String(160)),
    sa.Column("profile_picture", sa.String(500)),
    sa.Column("website", sa.String(500)),
    sa.Column("date_of_birth", sa.String(10)),
    sa.Column("gender", sa.String(50)),
    sa.Column("phone_number", sa.String(20)),
    sa.Column("country", sa.String(100)),
    sa.Column("is_active", sa.Boolean, nullable=False, server_default=sa.true()),
    sa.Column("is_verified", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("role", sa.String(20), nullable=False, server_default="user", index=True),
    sa.Column("created_at", moment, nullable=False),
    sa.Column("updated_at", moment),
)

blogs = sa.Table(
    "blogs",
    tables,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("author_id", sa.Uuid, sa.ForeignKey("users.uuid", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("title", sa.String(100), nullable=False),
    sa.Column("slug", sa.String(100), nullable=False, unique=True, index=True),
    sa.Column("content", sa.String(50_000), nullable=False),
    sa.Column("summary", sa.String(300)),
    sa.Column("view_count", sa.Integer, nullable=False, server_default=sa.text("0")),
    sa.Column("word_count", sa.Integer, nullable=False, server_default=sa.text("0")),
    sa.Column("reading_time_minutes", sa.Integer, nullable=False, server_default=sa.text("0")),
    sa.Column("status", sa.String(20), nullable=False, index=True),
    sa.Column("tags", json, nullable=False),
    sa.Column("images_url", json),
    sa.Column("created_at", moment, nullable=False, index=True),
    sa.Column("updated_at", moment),
    sa.Index("ix_blogs_status_created", "status", "created_at"),
    sa.Index("ix_blogs_author_status", "author_id", "status"),
    sa.Index("ix_blogs_tags_gin", "tags", postgresql_using="gin"),
)


def upgrade() -> None:
    for table in (users, blogs):
        op.execute(CreateTable(table))
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            op.execute(CreateIndex(index))


def downgrade() -> None:
    op.drop_table("blogs")
    op.drop_table("users")
