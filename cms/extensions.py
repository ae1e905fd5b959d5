"""The Flask extensions, and the one way to write: ``with transaction(): …``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from flask_sqlalchemy.session import Session
from sqlalchemy import event, orm

from cms.database.asked import listen
from cms.database.engines import engine_for
from cms.database.schema import Base
from cms.database.target import Target

WRITING = "in transaction()"
READING = "engines in autocommit"
HISTORY = "folder of the history that a command was given"


class RoutedSession(Session):
    """Reads in autocommit, writes in a transaction.

    BEGIN and ROLLBACK cost a third of a small request (measured on PostgreSQL), and on SQLite every transaction
    takes the write lock at once; so only ``transaction()`` opens one.
    """

    def get_bind(self, *args: Any, **kwargs: Any) -> Any:  # Any: the base class's own signature
        engine = super().get_bind(*args, **kwargs)
        if self.info.get(WRITING):
            return engine
        # The same object each time: a session takes one connection for each engine that it is given.
        reading: dict[Any, Any] = self.info.setdefault(READING, {})
        return reading.get(engine) or reading.setdefault(engine, engine.execution_options(isolation_level="AUTOCOMMIT"))


class Database(SQLAlchemy):
    """Flask-SQLAlchemy with engines made by ``cms.database.engines``, as every other connection is."""

    def _make_engine(self, bind_key: str | None, options: dict[str, Any], app: Flask) -> sa.Engine:  # noqa: ARG002
        target = Target.of(app.config)
        engine = engine_for(target).open_pool(target)
        if app.config["STATEMENTS_DIR"]:
            listen(engine, app.config["STATEMENTS_DIR"])
        return engine


db = Database(model_class=Base, session_options={"class_": RoutedSession})


@contextmanager
def transaction() -> Iterator[orm.scoped_session[Session]]:
    """Run one use case: commit at the end, roll back if it raises. On SQLite takes the write lock at once."""
    if db.session.info.get(WRITING):
        raise RuntimeError("a use case has one transaction, opened at the edge; this one is already open")
    db.session.rollback()  # gives back the autocommit connection of earlier reads
    db.session.info[WRITING] = True
    try:
        yield db.session
        db.session.commit()
    except BaseException:
        db.session.rollback()
        raise
    finally:
        db.session.info.pop(WRITING, None)


@event.listens_for(RoutedSession, "before_flush")
def refuse_write_outside_transaction(session: orm.Session, *_: object) -> None:
    """A flush in autocommit would store half a use case when the other half fails."""
    if not session.info.get(WRITING):
        raise RuntimeError("write inside `with transaction():`")


class DatabaseCommands(click.Command):
    """`flask db`, imported when it is called.

    Flask-Migrate brings Alembic, which no page needs and each web worker would wait for.
    """

    def __init__(self, app: Flask) -> None:
        super().__init__("db", short_help="Schema history: upgrade, downgrade, current, history, migrate, …")
        self._app = app

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:  # Any: click's own signature
        return load_flask_migrate(self._app).make_context(*args, **kwargs)


class ExplainedGroup(click.Group):
    """Flask-Migrate's group; what it meets is shown as our own commands show it, with our exit codes."""

    def __init__(self, group: click.Group, app: Flask) -> None:
        super().__init__(group.name, group.commands, params=group.params, callback=group.callback, help=group.help)
        self._app = app

    def invoke(self, ctx: click.Context) -> Any:  # Any: click's own signature
        from cms.database.everyday import explain  # noqa: PLC0415 - brings Alembic

        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            folder = ctx.meta.get(HISTORY, self._app.config["MIGRATIONS_DIR"])
            if (known := explain(error, replace(Target.of(self._app.config), migrations_dir=folder))) is None:
                raise
            click.echo(f"error: {known}", err=True)
            raise click.exceptions.Exit(known.exit_code) from error


def load_flask_migrate(app: Flask) -> click.Group:
    """Set Flask-Migrate up on the application and return its command group."""
    from flask_migrate import Migrate, cli  # noqa: PLC0415

    from cms.database import authoring  # noqa: PLC0415 - registers the hook that alembic.ini names, too

    # Flask-Migrate's own handler logs an error and exits with 1 before anybody could say more about it.
    for name, function in list(vars(cli).items()):
        if name.startswith("_") and hasattr(function, "__wrapped__"):
            setattr(cli, name, function.__wrapped__)
    migrate = Migrate(directory=app.config["MIGRATIONS_DIR"])
    migrate.init_app(app, db)
    migrate.configure(refuse_broken_history)
    migrate.configure(authoring.name_apart)
    return ExplainedGroup(cli.db, app)


def refuse_broken_history(config: Any) -> Any:  # Any: alembic.config.Config, which is not imported here
    """Raise HistoryBroken for files that form no history, and where a command needs the one head and there are two;
    RevisionUnknown for a revision that is an empty text, as a variable that was never set makes it.

    Called by Flask-Migrate at the start of each of its commands. Alembic itself shows a traceback for the first, and
    names neither head in the second.
    """
    from cms.database.errors import RevisionUnknown  # noqa: PLC0415
    from cms.database.history import get_head, read_scripts  # noqa: PLC0415

    context = click.get_current_context()
    context.meta[HISTORY] = Path(config.get_main_option("script_location"))
    scripts = read_scripts(config)
    goal = context.params.get("revision", context.params.get("head"))
    if goal == "":
        raise RevisionUnknown(
            "the revision that was given is an empty text",
            why="perhaps a variable of the shell is not set",
            hint="`python manage.py showmigrations` lists the revisions; nothing was changed",
        )
    if context.command.name in {"upgrade", "downgrade", "stamp", "migrate", "revision"} and goal in {"head", "-1"}:
        get_head(scripts)
    return config


def init_extensions(app: Flask) -> None:
    """Bind the extensions to the application; opens no connection."""
    app.config["SQLALCHEMY_DATABASE_URI"] = Target.of(app.config).url
    db.init_app(app)
    app.cli.add_command(DatabaseCommands(app))
