"""${message}

One change; schema and data apart. Runs on both engines, and the old code keeps working on the new schema.
Locks: say here which table is locked how strongly and for how long.
downgrade restores the schema exactly, or raises IrreversibleMigration with the reason.
No import of the application's models. A foreign key has an ondelete and an index.
A NOT NULL column has a server default.

Revision ID: ${up_revision}
Revises: ${down_revision | comma,n}
Create Date: ${create_date}
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
