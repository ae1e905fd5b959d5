"""A migrated site on each engine, with Ada, who edits, and Ben, who only reads. Cleo, a stranger, has no account."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import sqlalchemy as sa
from alembic import command
from flask import Flask
from flask.testing import FlaskClient
from psycopg import sql

from cms.accounts.current import needs
from cms.accounts.models import User
from cms.accounts.services import create_user
from cms.app import create_app
from cms.blogs.models import PUBLISHED, Blog
from cms.blogs.services import PostDraft, create_post
from cms.database.engines import engine_for
from cms.database.history import alembic_config
from cms.database.target import Target, parse_url
from cms.extensions import db, transaction
from config import load_config
from tests.postgres import PostgresServer, with_database

NOON = datetime(2026, 8, 22, 12, tzinfo=UTC)
PASSWORD = "a lamp on a mast"


# --- databases made by the migrations, once for all tests -------------------------------------------------------


def migrate(url: str, folder: Path) -> None:
    target = Target(parse_url(url), backup_dir=folder)
    engine_for(target).prepare(target)
    command.upgrade(alembic_config(target), "head")


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("template")
    migrate(f"sqlite:///{folder / 'cms.db'}", folder)
    return folder / "cms.db"


@pytest.fixture(scope="session")
def postgres_template(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the name of a migrated database; each worker of the run has its own."""
    url = postgres.create_database(name := f"template_{uuid4().hex[:12]}")
    migrate(url, tmp_path_factory.mktemp("template"))
    yield name
    postgres.drop_database(url)


@pytest.fixture
def migrated_sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    return f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'site.db')}"


@pytest.fixture
def migrated_postgres_url(postgres: PostgresServer, postgres_template: str) -> Iterator[str]:
    name = f"site_{uuid4().hex[:12]}"
    statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(statement.format(sql.Identifier(name), sql.Identifier(postgres_template)))
    url = with_database(postgres.url, name)
    yield url
    postgres.drop_database(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def migrated_url(request: pytest.FixtureRequest) -> str:
    """Return the URL of a database at head without rows: the test runs once on each engine."""
    name = {"sqlite": "migrated_sqlite_url", "postgresql": "migrated_postgres_url"}[request.param]
    return request.getfixturevalue(name)


# --- the application --------------------------------------------------------------------------------------------


def settings_for(url: str, folder: Path, **settings: str) -> dict[str, str]:
    """Return an environment for a site on this database."""
    folders = {"MEDIA_DIR": str(folder / "media"), "BACKUP_DIR": str(folder / "backups")}
    folders["MAINTENANCE_FILE"] = str(folder / "maintenance.json")
    folders |= {name: os.environ[name] for name in ("STATEMENTS_DIR",) if name in os.environ}  # ./dev statements
    return {"DATABASE_URL": url, "DATABASE_POOL_SIZE": "2", "POSTS_PER_PAGE": "3", **folders, **settings}


@contextmanager
def running(settings: dict[str, str]) -> Iterator[Flask]:
    """Make the application, give its connections back at the end. Errors are answered, as they are to visitors."""
    app = create_app(load_config(settings))
    yield app
    with app.app_context():
        db.session.remove()
        for engine in db.engines.values():
            engine.dispose()


@pytest.fixture
def app(migrated_url: str, tmp_path: Path) -> Iterator[Flask]:
    with running(settings_for(migrated_url, tmp_path)) as made:
        yield made


@pytest.fixture
def sqlite_app(migrated_sqlite_url: str, tmp_path: Path) -> Iterator[Flask]:
    """Return a site for tests of what no database has a say in."""
    with running(settings_for(migrated_sqlite_url, tmp_path)) as made:
        yield made


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@dataclass
class Site:
    """The application with its people, and a pen: ``write`` stores a post, each an hour newer than the one before."""

    app: Flask
    ada: User
    ben: User
    written: list[Blog] = field(default_factory=list)

    def write(self, title: str, **fields: Any) -> Blog:  # Any: fields of PostDraft
        fields = {"content": "Some words.", "status": PUBLISHED, "created_at": self.next_hour(), **fields}
        author = fields.pop("author", self.ada)
        with self.app.app_context(), transaction() as session:
            blog = create_post(session, PostDraft(title=title, **fields), author=author, at=NOON)
            session.flush()
            session.expunge(blog)
        self.written.append(blog)
        return blog

    def next_hour(self) -> datetime:
        return NOON + timedelta(hours=len(self.written))


def open_site(app: Flask) -> Site:
    with app.app_context(), transaction() as session:
        people = {"ada": ("editor", "Ada", "Byron"), "ben": ("user", "Ben", "Reed")}
        for name, (role, first, last) in people.items():
            create_user(
                session, username=name, email=f"{name}@example.org", role=role, password=None, at=NOON,
                first_name=first, last_name=last,
            )  # fmt: skip
        ada, ben = session.scalars(sa.select(User).order_by(User.username)).all()
        session.expunge_all()
    return Site(app, ada, ben)


@pytest.fixture
def site(app: Flask) -> Site:
    return open_site(app)


def add_page(app: Flask, path: str, view: Callable[[], Any]) -> None:  # Any: what Flask takes for an answer
    """Give the site one more page that everybody may see."""
    app.add_url_rule(path, path, needs("site.see")(view))


# --- statements -------------------------------------------------------------------------------------------------


@dataclass
class Statements:
    """What was sent to the database, BEGIN, COMMIT and ROLLBACK included."""

    sent: list[str] = field(default_factory=list)


@contextmanager
def counted(app: Flask) -> Iterator[Statements]:
    seen = Statements()
    with app.app_context():
        engine = db.engine
    listeners = {
        "before_cursor_execute": lambda _c, _cursor, statement, *_: seen.sent.append(statement),
        "begin": lambda connection: seen.sent.extend(["BEGIN"] * is_transaction(connection)),
        "commit": lambda connection: seen.sent.extend(["COMMIT"] * is_transaction(connection)),
        "rollback": lambda connection: seen.sent.extend(["ROLLBACK"] * is_transaction(connection)),
    }
    for name, listener in listeners.items():
        sa.event.listen(engine, name, listener)
    try:
        yield seen
    finally:
        for name, listener in listeners.items():
            sa.event.remove(engine, name, listener)


def is_transaction(connection: sa.Connection) -> bool:
    """Tell whether the driver sends BEGIN and its end; SQLAlchemy reports both in autocommit too."""
    return connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT"
