"""Where a database stands in the schema history, and which revisions it still lacks."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import Script, ScriptDirectory
from alembic.util import CommandError

from cms.database.engines import engine_for
from cms.database.engines.base import connecting
from cms.database.errors import HistoryBroken, RevisionUnknown
from cms.database.revision_files import list_faults
from cms.database.target import Target

VERSION_TABLE = "alembic_version"


@dataclass(frozen=True)
class Revision:
    """One step of the history: its id, what it does in one line, and the id before it (None for the first)."""

    id: str
    title: str
    down: str | None


@dataclass(frozen=True)
class Standing:
    """The whole history, oldest first, and where the database stands in it."""

    database: str
    current: str | None
    revisions: tuple[Revision, ...]
    pending: int

    def __str__(self) -> str:
        applied = len(self.revisions) - self.pending
        lines = [
            f"[{'X' if position < applied else ' '}] {revision.id}  {revision.title}"
            for position, revision in enumerate(self.revisions)
        ]
        return "\n".join([f"{self.database}: {applied} of {len(lines)} revisions applied", *lines])


@dataclass(frozen=True)
class RenderedRevision:
    """The SQL of one revision for one kind of database."""

    revision: str
    engine: str
    sql: str

    def __str__(self) -> str:
        return self.sql


def alembic_config(target: Target) -> Config:
    """Return Alembic's configuration for the target, which env.py takes from its attributes; holds no URL as text."""
    config = Config(str(target.migrations_dir / "alembic.ini"))
    config.set_main_option("script_location", str(target.migrations_dir).replace("%", "%%"))
    config.attributes["target"] = target
    return config


def load_scripts(target: Target) -> ScriptDirectory:
    """Read the files in migrations/versions.

    Raises HistoryBroken for a file that cannot be imported, a missing parent, or one id in two files.
    """
    return read_scripts(alembic_config(target))


def read_scripts(config: Config) -> ScriptDirectory:
    """Do what ``load_scripts`` does, for a configuration that Alembic has made."""
    scripts = ScriptDirectory.from_config(config)
    try:
        with warnings.catch_warnings():
            # Alembic only warns of both, and then fails with a bare KeyError or takes one of the two files.
            warnings.simplefilter("error", UserWarning)
            scripts.get_heads()
    except Exception as error:
        faults = list_faults(Path(scripts.versions))
        raise HistoryBroken(
            "the files in migrations/versions do not form a history",
            why="; ".join(faults) or f"{type(error).__name__}: {error}",
            hint="look for a revision file that is broken, deleted, copied or not committed",
        ) from error
    return scripts


def get_head(scripts: ScriptDirectory) -> str:
    """Return the id of the newest revision. Raises HistoryBroken if there is not exactly one."""
    heads = scripts.get_heads()
    if len(heads) == 1:
        return heads[0]
    raise HistoryBroken(
        f"the history has {len(heads)} heads: {', '.join(describe(scripts, head) for head in heads)}",
        why="two branches each added a revision to the same parent" if heads else "migrations/versions is empty",
        hint=f'join them with: flask db merge -m "merge heads" {" ".join(heads)}',
    )


def describe(scripts: ScriptDirectory, revision: str) -> str:
    return f"{revision} ({scripts.get_revision(revision).doc})"


def read_current(connection: sa.Connection, scripts: ScriptDirectory) -> str | None:
    """Return the database's revision, or None if it has none. Takes no lock.

    Raises RevisionUnknown if it names one that no file has, HistoryBroken if it names several.
    """
    rows = read_version_rows(connection)
    if len(rows) > 1:
        raise HistoryBroken(
            f"the database names {len(rows)} revisions at once: {', '.join(rows)}",
            why="two branches of history were applied to it",
            hint="run `flask db upgrade` if the history merges them by now; otherwise deploy a release that does",
        )
    if rows and not is_known(scripts, rows[0]):
        raise unknown_in_database(rows[0])
    return rows[0] if rows else None


def unknown_in_database(revision: str, removal: str | None = None) -> RevisionUnknown:
    """Return the error for a revision that the database names and no file has. removal: the commit that took it."""
    if removal:
        why = f"commit {removal} removed its file"
        hint = f"bring it back: git checkout {removal.split()[0]}^ -- migrations/versions; nothing was changed"
    else:
        why = "the code is older than the database, or is of another branch, or a revision file was deleted"
        hint = "deploy the release that made this revision; nothing was changed"
    what = f"the database is at revision {revision}, which no file in migrations/versions has"
    return RevisionUnknown(what, why=why, hint=hint)


def read_version_rows(connection: sa.Connection) -> list[str]:
    """Return every revision that the database names, sorted, known to our files or not. Takes no lock."""
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return []
    return list(connection.execute(sa.text(f"SELECT version_num FROM {VERSION_TABLE} ORDER BY 1")).scalars())  # noqa: S608


def read_current_of(target: Target, scripts: ScriptDirectory) -> str | None:
    """Do what ``read_current`` does on a connection of its own; None for a SQLite file that is not there yet.

    Raises DatabaseUnreachable too.
    """
    engine = engine_for(target)
    if engine.embedded and engine.is_absent(target):
        return None
    with connecting(target, engine.open_tool(target)) as connection:
        return read_current(connection, scripts)


def get_script(scripts: ScriptDirectory, revision: str) -> Script:
    """Return the file of a revision: an id or a unique beginning of one. Raises RevisionUnknown with what is near."""
    try:
        found = scripts.get_revision(revision)
    except CommandError as error:
        ids = [script.revision for script in scripts.walk_revisions()]
        near = [each for each in ids if each.startswith(revision)] or get_close_matches(revision, ids)
        raise RevisionUnknown(
            f"there is no revision {revision}",
            why=f"these are near: {', '.join(near)}" if near else "no file in migrations/versions has this id",
            hint="`python manage.py showmigrations` lists them; nothing was changed",
        ) from error
    if found is None:
        raise RevisionUnknown(f"there is no revision {revision}", hint="`python manage.py showmigrations` lists them")
    return found


def is_known(scripts: ScriptDirectory, revision: str) -> bool:
    try:
        return scripts.get_revision(revision) is not None
    except CommandError:
        return False


def list_revisions(scripts: ScriptDirectory) -> list[Revision]:
    """Return the whole history, oldest first. Raises HistoryBroken if there is not exactly one head."""
    return [as_revision(script) for script in scripts.walk_revisions("base", get_head(scripts))][::-1]


def list_pending(scripts: ScriptDirectory, current: str | None) -> list[Revision]:
    """Return the revisions between ``current`` and the head, oldest first. Raises HistoryBroken."""
    found = [as_revision(script) for script in scripts.iterate_revisions(get_head(scripts), current or "base")]
    return found[::-1]


def as_revision(script: Script) -> Revision:
    down = script.down_revision
    return Revision(script.revision, script.doc, down if down is None or isinstance(down, str) else ", ".join(down))


def read_standing(target: Target) -> Standing:
    """Read which revisions the database has. Takes no lock. Raises what read_current and list_pending raise."""
    scripts = load_scripts(target)
    current = read_current_of(target, scripts)
    pending = list_pending(scripts, current)
    return Standing(target.name, current, tuple(list_revisions(scripts)), len(pending))


def render_revision(target: Target, revision: str, *, backwards: bool = False) -> RenderedRevision:
    """Return the SQL that a revision, or its downgrade, runs; opens no connection.

    revision: an id or a unique beginning of one. Raises RevisionUnknown; MigrationFailed where the SQL depends on
    what the live table looks like.
    """
    script = get_script(load_scripts(target), revision)
    if isinstance(script.down_revision, tuple):
        merged = f"-- merges {', '.join(script.down_revision)}, and runs no SQL of its own"
        return RenderedRevision(script.revision, target.engine_name, merged)
    config = alembic_config(target)
    config.output_buffer = io.StringIO()
    down, run = script.down_revision or "base", command.downgrade if backwards else command.upgrade
    first, last = (script.revision, down) if backwards else (down, script.revision)
    run(config, f"{first}:{last}", sql=True)
    return RenderedRevision(script.revision, target.engine_name, config.output_buffer.getvalue().strip())
