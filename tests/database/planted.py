"""Revisions with one defect each, for tests of `lint-migrations`.

rule, then what stands in the file below its head; `# <-` marks the line that must be named, line 1 where there is none.
"""

from __future__ import annotations

PLANTED = {
    "a column is dropped without a copy": (
        "drop-without-copy",
        """
def upgrade():
    with op.batch_alter_table('blogs') as t:
        t.drop_column('word_count')  # <-


def downgrade():
    with op.batch_alter_table('blogs') as t:
        t.add_column(sa.Column('word_count', sa.Integer, nullable=False, server_default=sa.text('0')))
""",
    ),
    "a table is dropped without a copy": (
        "drop-without-copy",
        """
def upgrade():
    op.drop_table('redirects')  # <-


def downgrade():
    pass
""",
    ),
    "a table is emptied": (
        "drop-without-copy",
        """
def upgrade():
    op.execute('TRUNCATE redirects')  # <-


def downgrade():
    pass
""",
    ),
    "there is no downgrade": (
        "no-downgrade",
        """
def upgrade():
    op.add_column('blogs', sa.Column('subtitle', sa.String(200)))
""",
    ),
    "downgrade is not written": (
        "no-downgrade",
        """
def upgrade():
    op.add_column('blogs', sa.Column('subtitle', sa.String(200)))


def downgrade():
    raise NotImplementedError  # <-
""",
    ),
    "downgrade does nothing": (
        "downgrade-differs",
        """
def upgrade():
    op.add_column('blogs', sa.Column('subtitle', sa.String(200)))


def downgrade():  # <-
    pass
""",
    ),
    "downgrade forgets an index": (
        "downgrade-differs",
        """
def upgrade():
    op.drop_index('ix_blogs_status', 'blogs')


def downgrade():  # <-
    pass
""",
    ),
    "downgrade fails": (
        "downgrade-fails",
        """
def upgrade():
    op.add_column('blogs', sa.Column('subtitle', sa.String(200)))


def downgrade():
    op.drop_column('blogs', 'subtitel')  # <-
""",
    ),
    "upgrade fails": (
        "does-not-run",
        """
def upgrade():
    op.drop_column('blogs', 'nonsense')  # <-


def downgrade():
    pass
""",
    ),
    "the second upgrade finds what the first left": (
        "downgrade-differs",
        """
def upgrade():
    op.create_table('a', sa.Column('id', sa.Integer, primary_key=True))
    op.execute('CREATE VIEW seen AS SELECT title FROM blogs')


def downgrade():  # <-
    op.drop_table('a')
""",
    ),
    "a model is imported": (
        "imports-application",
        """
from cms.blogs.models import Blog  # <-


def upgrade():
    op.add_column('blogs', sa.Column('subtitle', sa.String(200)))


def downgrade():
    with op.batch_alter_table('blogs') as t:
        t.drop_column('subtitle')
""",
    ),
    "a model is imported late": (
        "imports-application",
        """
def upgrade():
    op.add_column('blogs', sa.Column('subtitle', sa.String(200)))
    import importlib
    importlib.import_module('cms.blogs.models')  # <-


def downgrade():
    with op.batch_alter_table('blogs') as t:
        t.drop_column('subtitle')
""",
    ),
    "the application is imported": (
        "imports-application",
        """
from flask import current_app  # <-


def upgrade():
    op.add_column('blogs', sa.Column('subtitle', sa.String(200)))


def downgrade():
    with op.batch_alter_table('blogs') as t:
        t.drop_column('subtitle')
""",
    ),
    "a password stands in the file": (
        "secret",
        """
API_PASSWORD = 'hunter2hunter2'  # <-


def upgrade():
    op.add_column('blogs', sa.Column('subtitle', sa.String(200)))


def downgrade():
    with op.batch_alter_table('blogs') as t:
        t.drop_column('subtitle')
""",
    ),
    "a password stands in an address": (
        "secret",
        """
SOURCE = 'postgresql://ada:lovelace@db.example.org/blog'  # <-


def upgrade():
    op.add_column('blogs', sa.Column('subtitle', sa.String(200)))


def downgrade():
    with op.batch_alter_table('blogs') as t:
        t.drop_column('subtitle')
""",
    ),
    "a password is put together and only the SQL shows it": (
        "secret",
        """
def upgrade():
    op.execute('CREATE ROLE reader LOGIN PASS' + "WORD 'opensesame'")  # <-


def downgrade():
    pass
""",
    ),
    "a private key stands in the file": (
        "secret",
        """
KEY = '-----BEGIN RSA PRIVATE KEY-----'  # <-


def upgrade():
    op.add_column('blogs', sa.Column('subtitle', sa.String(200)))


def downgrade():
    with op.batch_alter_table('blogs') as t:
        t.drop_column('subtitle')
""",
    ),
    "a foreign key does not say what a delete does": (
        "foreign-key-without-ondelete",
        """
def upgrade():
    op.create_table(
        'notes',
        sa.Column('id', sa.Integer, primary_key=True),
        sa.Column('blog_id', sa.Uuid, sa.ForeignKey('blogs.id'), nullable=False),  # <-
    )
    op.create_index('ix_notes_blog_id', 'notes', ['blog_id'])


def downgrade():
    op.drop_table('notes')
""",
    ),
    "a foreign key has no index": (
        "foreign-key-without-index",
        """
def upgrade():
    op.create_table(
        'notes',
        sa.Column('id', sa.Integer, primary_key=True),
        sa.Column('blog_id', sa.Uuid, sa.ForeignKey('blogs.id', ondelete='CASCADE'), nullable=False),  # <-
    )


def downgrade():
    op.drop_table('notes')
""",
    ),
    "schema and rows are changed": (
        "schema-and-data",
        """
def upgrade():
    op.add_column('blogs', sa.Column('subtitle', sa.String(200)))
    op.execute("UPDATE blogs SET subtitle = 'x' WHERE id IS NULL LIMIT 5")  # <-


def downgrade():
    with op.batch_alter_table('blogs') as t:
        t.drop_column('subtitle')
""",
    ),
    "schema and rows are changed in a loop that an empty table never enters": (
        "schema-and-data",
        """
blogs = sa.table('blogs', sa.column('id', sa.Uuid), sa.column('subtitle', sa.String))


def upgrade():
    op.add_column('blogs', sa.Column('subtitle', sa.String(200)))
    for key in op.get_bind().execute(sa.select(blogs.c.id)).scalars():
        op.execute(blogs.update().where(blogs.c.id == key).values(subtitle='x'))  # <-


def downgrade():
    with op.batch_alter_table('blogs') as t:
        t.drop_column('subtitle')
""",
    ),
    "all rows are updated at once": (
        "unbatched-data",
        """
def upgrade():
    op.execute("UPDATE blogs SET status = 'draft' WHERE status = 'new'")  # <-


def downgrade():
    pass
""",
    ),
    "all rows are deleted at once": (
        "unbatched-data",
        """
def upgrade():
    op.execute(sa.table('redirects').delete())  # <-


def downgrade():
    pass
""",
    ),
    "two tables are changed that do not need each other": (
        "more-than-one-thing",
        """
def upgrade():
    op.add_column('blogs', sa.Column('subtitle', sa.String(200)))
    op.add_column('users', sa.Column('mood', sa.String(200)))  # <-


def downgrade():
    with op.batch_alter_table('users') as t:
        t.drop_column('mood')
    with op.batch_alter_table('blogs') as t:
        t.drop_column('subtitle')
""",
    ),
    "a type is narrowed on downgrade without a look": (
        "narrowed-on-downgrade",
        """
def upgrade():
    with op.batch_alter_table('users') as t:
        t.alter_column('bio', existing_type=sa.String(160), type_=sa.String(500))


def downgrade():  # <-
    with op.batch_alter_table('users') as t:
        t.alter_column('bio', existing_type=sa.String(500), type_=sa.String(160))
""",
    ),
    "a column becomes required on downgrade without a look": (
        "narrowed-on-downgrade",
        """
def upgrade():
    with op.batch_alter_table('blogs') as t:
        t.alter_column('status', existing_type=sa.String(20), nullable=True)


def downgrade():  # <-
    with op.batch_alter_table('blogs') as t:
        t.alter_column('status', existing_type=sa.String(20), nullable=False)
""",
    ),
    "a required column has no default": (
        "required-without-default",
        """
def upgrade():
    op.add_column('blogs', sa.Column('subtitle', sa.String(200), nullable=False))  # <-


def downgrade():
    with op.batch_alter_table('blogs') as t:
        t.drop_column('subtitle')
""",
    ),
    "a concurrent index is built only if it is not there": (
        "concurrently-if-not-exists",
        """
def upgrade():
    with op.get_context().autocommit_block():
        op.create_index('ix_b', 'blogs', ['title'], postgresql_concurrently=True, if_not_exists=True)  # <-


def downgrade():
    with op.get_context().autocommit_block():
        op.drop_index('ix_b', 'blogs', postgresql_concurrently=True)
""",
    ),
    "a concurrent index is built in the transaction": (
        "concurrently-in-transaction",
        """
def upgrade():
    op.create_index('ix_b', 'blogs', ['title'], postgresql_concurrently=True)  # <-


def downgrade():
    op.drop_index('ix_b', 'blogs')
""",
    ),
    "something stands beside an autocommit block": (
        "autocommit-not-alone",
        """
def upgrade():
    op.add_column('blogs', sa.Column('subtitle', sa.String(200)))
    with op.get_context().autocommit_block():  # <-
        op.create_index('ix_b', 'blogs', ['title'], postgresql_concurrently=True)


def downgrade():
    op.drop_index('ix_b', 'blogs')
    with op.batch_alter_table('blogs') as t:
        t.drop_column('subtitle')
""",
    ),
    "something stands beside a building block": (
        "autocommit-not-alone",
        """
from cms.database.operations import create_index, drop_index


def upgrade():
    op.add_column('blogs', sa.Column('subtitle', sa.String(200)))  # <-
    create_index('ix_b', 'blogs', ['title'])


def downgrade():
    drop_index('ix_b', 'blogs')
    with op.batch_alter_table('blogs') as t:
        t.drop_column('subtitle')
""",
    ),
    "the transaction is ended": (
        "transaction-control",
        """
def upgrade():
    op.execute('COMMIT')  # <-


def downgrade():
    pass
""",
    ),
    "a setting of the session is changed": (
        "session-setting",
        """
def upgrade():
    op.execute("SET search_path = 'x'")  # <-


def downgrade():
    pass
""",
    ),
    "an enum type is made": (
        "native-enum",
        """
def upgrade():
    op.execute("CREATE TYPE mood AS ENUM ('good', 'bad')")  # <-


def downgrade():
    pass
""",
    ),
    "a column is json": (
        "json-column",
        """
def upgrade():
    op.add_column('blogs', sa.Column('subtitle', sa.JSON))  # <-


def downgrade():
    with op.batch_alter_table('blogs') as t:
        t.drop_column('subtitle')
""",
    ),
    "a table is locked": (
        "table-lock",
        """
def upgrade():
    op.execute('LOCK TABLE blogs')  # <-


def downgrade():
    pass
""",
    ),
    "an index blocks writers": (
        "require-concurrent-index-creation",
        """
def upgrade():
    op.create_index('ix_b', 'blogs', ['title'])  # <-


def downgrade():
    op.drop_index('ix_b', 'blogs')
""",
    ),
    "a type change rewrites the table": (
        "changing-column-type",
        """
def upgrade():
    with op.batch_alter_table('blogs') as t:  # <-
        t.alter_column('view_count', existing_type=sa.Integer, type_=sa.BigInteger)


def downgrade():
    op.get_bind().execute(sa.text('SELECT max(view_count) FROM blogs'))
    with op.batch_alter_table('blogs') as t:
        t.alter_column('view_count', existing_type=sa.BigInteger, type_=sa.Integer)
""",
    ),
    "a column is renamed": (
        "renaming-column",
        """
def upgrade():
    with op.batch_alter_table('blogs') as t:  # <-
        t.alter_column('summary', new_column_name='lead')


def downgrade():
    with op.batch_alter_table('blogs') as t:
        t.alter_column('lead', new_column_name='summary')
""",
    ),
    "a unique constraint scans the table under lock": (
        "disallowed-unique-constraint",
        """
def upgrade():
    with op.batch_alter_table('blogs') as t:  # <-
        t.create_unique_constraint('blogs_title_key', ['title'])


def downgrade():
    with op.batch_alter_table('blogs') as t:
        t.drop_constraint('blogs_title_key')
""",
    ),
    "a default that differs by row rewrites the table": (
        "adding-field-with-default",
        """
def upgrade():
    kind = {'server_default': sa.text('gen_random_uuid()')} if op.get_context().dialect.name != 'sqlite' else {}
    op.add_column('blogs', sa.Column('subtitle', sa.Uuid, **kind))  # <-


def downgrade():
    with op.batch_alter_table('blogs') as t:
        t.drop_column('subtitle')
""",
    ),
    "rows change behind a comment": (
        "unbatched-data",
        """
def upgrade():
    op.execute('-- all of them\\nUPDATE blogs SET status = 1')  # <-


def downgrade():
    pass
""",
    ),
    "rows change in small letters": (
        "unbatched-data",
        """
def upgrade():
    op.get_bind().execute(sa.text('delete from redirects'))  # <-


def downgrade():
    pass
""",
    ),
    "rows change behind a common table expression": (
        "unbatched-data",
        """
def upgrade():
    op.execute('WITH old AS (SELECT id FROM blogs) DELETE FROM redirects')  # <-


def downgrade():
    pass
""",
    ),
    "a table is dropped behind another statement": (
        "drop-without-copy",
        """
def upgrade():
    if op.get_context().dialect.name == 'postgresql':
        op.execute('SELECT 1; DROP TABLE redirects')  # <-


def downgrade():
    pass
""",
    ),
    "a column is dropped without the word": (
        "drop-without-copy",
        """
def upgrade():
    if op.get_context().dialect.name == 'postgresql':
        op.execute('alter table blogs drop word_count')  # <-


def downgrade():
    pass
""",
    ),
    "a required column is added without the word": (
        "required-without-default",
        """
def upgrade():
    if op.get_context().dialect.name == 'postgresql':
        op.execute('alter table blogs add mood text not null')  # <-


def downgrade():
    pass
""",
    ),
    "code is hidden in a block": (
        "hidden-code",
        """
def upgrade():
    if op.get_context().dialect.name == 'postgresql':
        op.execute('DO $$ BEGIN DELETE FROM blogs; END $$')  # <-


def downgrade():
    pass
""",
    ),
}

GOOD = {
    "a column": """

def upgrade():
    op.add_column("blogs", sa.Column("subtitle", sa.String(200)))


def downgrade():
    with op.batch_alter_table("blogs") as blogs:
        blogs.drop_column("subtitle")
""",
    "a column that is never empty": """

def upgrade():
    op.add_column("blogs", sa.Column("is_pinned", sa.Boolean, nullable=False, server_default=sa.false()))


def downgrade():
    with op.batch_alter_table("blogs") as blogs:
        blogs.drop_column("is_pinned")
""",
    "a wider text": """

def upgrade():
    with op.batch_alter_table("users") as users:
        users.alter_column("bio", existing_type=sa.String(160), type_=sa.String(500), existing_nullable=True)


def downgrade():
    refuse_longer_than("users", {"bio": 160})
    with op.batch_alter_table("users") as users:
        users.alter_column("bio", existing_type=sa.String(500), type_=sa.String(160), existing_nullable=True)
""",
    "a table with a foreign key": """

def upgrade():
    op.create_table(
        "comments",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("blog_id", sa.Uuid, sa.ForeignKey("blogs.id", ondelete="CASCADE"), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("status", sa.String(20), nullable=False, server_default="waiting"),
        sa.Column("seen", sa.JSON().with_variant(JSONB(), "postgresql")),
        sa.CheckConstraint("status IN ('waiting', 'shown', 'hidden')", name="status"),
    )
    op.create_index("ix_comments_blog_id", "comments", ["blog_id"])


def downgrade():
    op.drop_table("comments")
""",
    "two tables that need each other": """

def upgrade():
    op.create_table("topics", sa.Column("id", sa.Uuid, primary_key=True))
    op.create_table(
        "blog_topics",
        sa.Column("blog_id", sa.Uuid, sa.ForeignKey("blogs.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("topic_id", sa.Uuid, sa.ForeignKey("topics.id", ondelete="CASCADE"), primary_key=True),
    )
    op.create_index("ix_blog_topics_topic_id", "blog_topics", ["topic_id"])


def downgrade():
    op.drop_table("blog_topics")
    op.drop_table("topics")
""",
    "rows in batches": """
BATCH = 1000

blogs = sa.table("blogs", sa.column("id", sa.Uuid), sa.column("status", sa.String))


def upgrade():
    old = blogs.c.status == "new"
    if op.get_context().as_sql:
        op.execute(blogs.update().where(old).values(status="draft"))
        return
    connection = op.get_bind()
    while ids := connection.execute(sa.select(blogs.c.id).where(old).limit(BATCH)).scalars().all():
        connection.execute(blogs.update().where(blogs.c.id.in_(ids)).values(status="draft"))


def downgrade():
    pass
""",
    "rows in batches with a limit": """

def upgrade():
    batch = "UPDATE blogs SET status = 'draft' WHERE id IN (SELECT id FROM blogs WHERE status = 'new' LIMIT 1000)"
    while op.get_bind().execute(sa.text(batch)).rowcount:
        pass


def downgrade():
    pass
""",
    "one row by its key": """

def upgrade():
    op.execute("DELETE FROM redirects WHERE path = '/old'")


def downgrade():
    pass
""",
    "an index that is built while writers go on": """

def upgrade():
    with op.get_context().autocommit_block():
        op.create_index("ix_blogs_title", "blogs", ["title"], postgresql_concurrently=True)


def downgrade():
    with op.get_context().autocommit_block():
        op.drop_index("ix_blogs_title", "blogs", postgresql_concurrently=True)
""",
    "a step that cannot be taken back and says so": """
from cms.database.errors import IrreversibleMigration


def upgrade():
    op.add_column("blogs", sa.Column("subtitle", sa.String(200)))


def downgrade():
    raise IrreversibleMigration("the subtitles would be lost")
""",
}
