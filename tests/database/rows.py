"""Rows for every table, written with plain SQL types so that they fit any revision, and small helpers."""

from __future__ import annotations

import json
import uuid
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import sqlalchemy as sa
from alembic import command
from alembic.script import ScriptDirectory

import cms.activity.models
import cms.api.models
import cms.exchange.models
import cms.jobs.models  # noqa: F401 - with the imports below, every table is in the metadata
from cms.accounts.models import User
from cms.blogs.models import Blog
from cms.database.engines import engine_for
from cms.database.history import alembic_config
from cms.database.progress import Meter, Say
from cms.database.target import MIGRATIONS_DIR
from tests.database.copies import COPIES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cms.database.target import Target

assert User
assert Blog
MOMENT = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
FIRST = "6a1f0c93e2b4"
SECOND = "2d8e51b07fa9"
REVISIONS = [script.revision for script in ScriptDirectory(str(MIGRATIONS_DIR)).walk_revisions()][::-1]
NEWEST = REVISIONS[-1]


def count_after(revision: str) -> int:
    """Return how many revisions the history has after one."""
    return len(REVISIONS) - 1 - REVISIONS.index(revision)


def quiet(_line: str) -> None:
    """Swallow progress."""


@contextmanager
def connected(target: Target) -> Iterator[sa.Connection]:
    """Open a connection that commits at the end."""
    with engine_for(target).open_tool(target).begin() as connection:
        yield connection


def upgrade(target: Target, goal: str = "head", *, say: Say = quiet) -> None:
    """Run the migrations; of an empty database that is to go to the head, make a copy of one that is there."""
    from_nothing = say is quiet and goal in {"head", NEWEST} and COPIES.could_be(target)
    if from_nothing and COPIES.put(target):
        return
    config = alembic_config(target)
    config.attributes["say"] = say
    command.upgrade(config, goal)
    if from_nothing:
        COPIES.keep(target)


def downgrade(target: Target, goal: str) -> None:
    config = alembic_config(target)
    config.attributes["say"] = quiet
    command.downgrade(config, goal)


def fill(target: Target, *, posts: int = 3) -> None:
    """Put rows into every table that the database has."""
    with connected(target) as connection:
        ada = insert(connection, "users", {"uuid": uuid.uuid4(), "username": "ada", "email": "ada@example.org"})
        blogs = [insert(connection, "blogs", post_row(ada["uuid"], number)) for number in range(posts)]
        tables = sa.inspect(connection).get_table_names()
        for table, (row, moment) in rows_of(ada["uuid"], blogs[0]["id"]).items():
            if table in tables:
                insert(connection, table, row, moment=moment)


def rows_of(person: object, blog: object) -> dict[str, tuple[dict[str, object], str | None]]:
    """Return a row for each table, and which of its columns says when, in the order of their foreign keys."""
    worker = uuid.uuid4()
    job = {"id": uuid.uuid4(), "kind": "test.job", "arguments": {"to": "ä"}, "status": "done", "worker_id": worker}
    about = {"id": uuid.uuid4(), "actor_id": person, "actor_name": "ada", "action": "blog.published"}
    notice = {"id": uuid.uuid4(), "user_id": person, "kind": "blog.returned", "text": "ä", "key": "1"}
    token = {"id": uuid.uuid4(), "user_id": person, "name": "ä", "prefix": "cms_0", "secret_hash": "0" * 64}
    passkey = {"id": uuid.uuid4(), "user_id": person, "name": "ä", "credential_id": "A"}
    session = {"id": uuid.uuid4(), "user_id": person, "secret_hash": "0" * 64, "browser": "ä"}
    version = {"id": uuid.uuid4(), "blog_id": blog, "number": 1, "kind": "save", "title": "ä", "content": "words"}
    return {
        "blog_versions": ({**version, "tags": ["ä"], "saved_by_id": person, "saved_by_name": "ada"}, "created_at"),
        "redirects": ({"path": "/old/", "blog_id": blog}, "created_at"),
        "imported_files": (
            {"source": "a.md", "blog_id": blog, "sha256": "0" * 64, "front_matter": {"title": "ä"}},
            "imported_at",
        ),
        "job_workers": ({"id": worker, "host": "here", "pid": 1, "seen_at": MOMENT}, "started_at"),
        "jobs": ({**job, "due_at": MOMENT, "changed_at": MOMENT}, "created_at"),
        "activity_logs": ({**about, "details": {"title": "ä"}}, "happened_at"),
        "notifications": (notice, "created_at"),
        "notification_preferences": (
            {"user_id": person, "kind": "blog.returned", "on_site": True, "by_mail": False},
            None,
        ),
        "blog_search_settings": ({"id": 1, "language": "german"}, None),
        "search_misses": ({"words": "ä", "count": 3}, "missed_at"),
        "sessions": ({**session, "used_at": MOMENT, "proven_at": MOMENT}, "created_at"),
        "invitations": (
            {"id": uuid.uuid4(), "token_hash": "0" * 64, "email": "ä@example.org", "role": "user", "ends_at": MOMENT},
            "created_at",
        ),
        "email_confirmations": ({"token_hash": "0" * 64, "user_id": person, "email": "ä@b", "step": "new"}, "ends_at"),
        "password_reset_tokens": ({"token_hash": "0" * 64, "user_id": person}, "ends_at"),
        "api_tokens": ({**token, "scopes": ["post.see"], "ends_at": MOMENT}, "created_at"),
        "second_factors": ({"user_id": person, "sealed_secret": "ä", "last_step": 1 << 40}, "created_at"),
        "recovery_codes": ({"code_hash": "0" * 64, "user_id": person}, None),
        "passkeys": ({**passkey, "public_key": "A", "sign_count": 1 << 32}, "created_at"),
        "sign_in_steps": (
            {"secret_hash": "0" * 64, "kind": "code", "user_id": person, "details": {"next": "/ä"}},
            "ends_at",
        ),
        "kept_answers": (
            {"key_hash": "0" * 64, "user_id": person, "request_hash": "1" * 64, "status": 201, "body": "ä"},
            "ends_at",
        ),
        "rate_limits": ({"key": "sign-in:0", "count": 1}, "ends_at"),
    }


def post_row(author: uuid.UUID, number: int) -> dict[str, object]:
    return {
        "id": uuid.uuid4(),
        "author_id": author,
        "title": f"Post {number} ünïcode",
        "slug": f"post-{number}",
        "content": "words " * 20 + str(number),
        "status": "published",
        "tags": ["a tag", "東京"],
    }


def insert(
    connection: sa.Connection, table: str, row: dict[str, object], *, moment: str | None = "created_at"
) -> dict[str, object]:
    """Insert a row in the form that the engine stores."""
    row = {**row, moment: MOMENT} if moment else row
    columns = ", ".join(row)
    values = {name: stored(connection, value) for name, value in row.items()}
    connection.execute(sa.text(f"INSERT INTO {table} ({columns}) VALUES (:{', :'.join(row)})"), values)
    return row


def stored(connection: sa.Connection, value: object) -> object:
    if isinstance(value, list | dict):
        return json.dumps(value)
    if connection.dialect.name == "postgresql":
        return value
    if isinstance(value, uuid.UUID):
        return value.hex
    return value.replace(tzinfo=None).isoformat(" ") if isinstance(value, datetime) else value


def count(target: Target, table: str) -> int:
    with connected(target) as connection:
        return connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one()


def digests(target: Target) -> dict[str, tuple[int, str]]:
    """Return row count and content hash of every table."""
    with connected(target) as connection, Meter(quiet, "hashing") as meter:
        tables = engine_for(target).digest_tables(connection, meter)
    return {table.name: (table.rows, table.digest) for table in tables}
