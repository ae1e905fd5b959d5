"""Restore a backup: verified before any tool opens it, loaded beside the database, compared, then put in place."""

from __future__ import annotations

import re
import secrets
import time
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from cms.database.contents import read_revision
from cms.database.engines import engine_for
from cms.database.engines.base import Say, connecting, kept_prefix
from cms.database.errors import DatabaseUnreachable, RestoreFailed, RestoreRefused
from cms.database.fingerprint import read_fingerprint
from cms.database.history import is_known, load_scripts
from cms.database.keys import load_key
from cms.database.manifest import Manifest, verify_backup
from cms.database.media import restore_media
from cms.database.proof import compare
from cms.database.target import Target
from cms.words import counted

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}")


@dataclass(frozen=True)
class RestorePlan:
    """What would be restored where. occupied: how many tables the database holds now."""

    folder: Path
    backup: str
    created_at: str
    standing: str
    database: str
    tables: int
    rows: int
    occupied: int

    def __str__(self) -> str:
        replaced = f"; replaces the {self.occupied} tables there, which are kept aside"
        now = replaced if self.occupied else ", which is empty"
        return (
            f"restore backup {self.backup} of {self.created_at} ({self.tables} tables, {self.rows:,} rows, "
            f"{self.standing}) "
            f"into {self.database}{now}"
        )


@dataclass(frozen=True)
class RestoreResult:
    """What took over, every table compared with the manifest before. kept: where the former database is."""

    backup: str
    database: str
    tables: int
    rows: int
    media: int
    kept: str | None
    duration_ms: int

    def __str__(self) -> str:
        done = (
            f"{self.database} now holds backup {self.backup}: {self.tables} tables, {self.rows:,} rows, "
            f"all equal to the manifest; {counted(self.media, 'missing media file')} brought back "
            f"({self.duration_ms / 1000:.1f} s)"
        )
        return f"{done}\n  what was there before is kept as {self.kept}" if self.kept else done


@dataclass(frozen=True)
class UndoPlan:
    """Which former database would come back."""

    database: str
    former: str

    def __str__(self) -> str:
        return f"bring back {self.former} as {self.database}; what is there now is kept aside"


@dataclass(frozen=True)
class UndoResult:
    """What the database holds now. kept: where what it held before the undo is."""

    database: str
    restored: str
    kept: str | None
    tables: int

    def __str__(self) -> str:
        done = f"{self.database} holds again what was {self.restored} ({counted(self.tables, 'table')})"
        return f"{done}\n  what was there before is kept as {self.kept}" if self.kept else done


def plan_restore(target: Target, folder: Path, *, replacing: bool = False) -> RestorePlan:
    """Verify the backup and look at the database. Reads only.

    Raises BackupDamaged; RestoreRefused if the database is of another kind, holds tables and ``replacing`` is not set,
    or if the backup is of a schema that this release does not know.
    """
    manifest = verify_backup(folder, load_key(target))
    refuse_other_engine(target, manifest)
    refuse_unknown_revision(target, manifest)
    occupied = count_tables(target)
    if occupied and not replacing:
        raise RestoreRefused(
            f"{target.name} is not empty",
            why=f"it holds {occupied} tables",
            hint="add --replace to put it aside, or --to-new-database NAME to leave it alone; nothing was changed",
        )
    contents = manifest.contents
    return RestorePlan(
        folder, manifest.id, manifest.created_at, manifest.standing, target.name, len(contents.tables), contents.rows,
        occupied,
    )  # fmt: skip


def apply_restore(target: Target, plan: RestorePlan, *, say: Say) -> RestoreResult:
    """Load the backup into a scratch database, compare every table, then let that take over at once.

    Holds the deploy lock while it loads and compares, so that a running migration is waited for; what starts after
    that is ended by the swap. Whatever fails, the database stays as it was.
    Raises BackupDamaged, RestoreFailed, RestoreRefused, DatabaseBusy, ToolMissing.
    """
    began = time.monotonic()
    engine = engine_for(target)
    manifest = verify_backup(plan.folder, load_key(target))
    with ExitStack() as scratches:
        with locked_if_there(target, say):
            say("loading the backup beside the database")
            scratch = scratches.enter_context(engine.restore_into_scratch(target, plan.folder / engine.dump_name))
            say(f"comparing {plan.tables} tables with the manifest")
            compare(scratch, manifest.contents)
            media = restore_media(plan.folder, manifest.media, target.media_dir)
        say("putting it in place")
        kept = engine.take_over(target, scratch, new_kept_name(target))
    confirm(target, manifest, kept)
    if kept and not plan.occupied:
        engine.discard(target, kept)
        kept = None
    duration_ms = round((time.monotonic() - began) * 1000)
    return RestoreResult(manifest.id, target.name, plan.tables, plan.rows, media, kept, duration_ms)


def confirm(target: Target, manifest: Manifest, kept: str | None) -> None:
    """Raise RestoreFailed unless the database itself has the backup's revision and schema now.

    Its rows were compared in the scratch copy that has taken over; here the site may already be writing them.
    """
    with connecting(target, engine_for(target).open_tool(target)) as connection:
        found = read_revision(connection), read_fingerprint(connection).hash
    if found != (manifest.contents.revision, manifest.contents.fingerprint):
        raise RestoreFailed(
            f"{target.name} does not hold backup {manifest.id} after the restore",
            why="its revision or schema is not the backup's; perhaps another run changed it right after",
            hint="look at `python manage.py showmigrations`"
            + (f"; what was there before is kept as {kept}" if kept else ""),
        )


def new_kept_name(target: Target) -> str:
    return f"{kept_prefix(target)}{datetime.now(UTC):%Y%m%d%H%M%S}_{secrets.token_hex(2)}"


def locked_if_there(target: Target, say: Say) -> AbstractContextManager[None]:
    engine = engine_for(target)
    return nullcontext() if engine.is_absent(target) else engine.deploy_lock(target, say)


def count_tables(target: Target) -> int:
    """Return how many tables the database holds; 0 if it does not exist yet."""
    engine = engine_for(target)
    try:
        with connecting(target, engine.open_tool(target)) as connection:
            return len(engine.list_tables(connection))
    except DatabaseUnreachable:
        if engine.is_absent(target):
            return 0
        raise


def refuse_other_engine(target: Target, manifest: Manifest) -> None:
    if manifest.engine != target.engine_name:
        raise RestoreRefused(
            f"backup {manifest.id} is of {manifest.engine}, and {target.name} is {target.engine_name}",
            why="a dump can only be loaded by the kind of database that made it",
            hint="set DATABASE_URL to a database of that kind; nothing was changed",
        )


def refuse_unknown_revision(target: Target, manifest: Manifest) -> None:
    if manifest.contents.revision and not is_known(load_scripts(target), manifest.contents.revision):
        raise RestoreRefused(
            f"backup {manifest.id} is at revision {manifest.contents.revision}, which this release does not know",
            why="it was made by newer code; this release could not work on it",
            hint="deploy the release that made it, then restore; nothing was changed",
        )


def plan_undo(target: Target) -> UndoPlan:
    """Find what the last restore put aside. Reads only. Raises RestoreRefused if there is nothing."""
    kept = engine_for(target).list_kept(target)
    if not kept:
        raise RestoreRefused(
            f"there is nothing to bring back for {target.name}",
            why=f"no database named {kept_prefix(target)}… is there",
            hint="restore a backup instead; `python manage.py list-backups` names them",
        )
    return UndoPlan(target.name, kept[-1])


def apply_undo(target: Target, plan: UndoPlan, *, say: Say) -> UndoResult:
    """Swap the former database back, at once or not at all; a second undo swaps again. Raises DatabaseBusy."""
    engine = engine_for(target)
    former = replace(target, url=target.url.set(database=beside(target, plan.former)))
    with locked_if_there(target, say):
        pass  # a running migration is waited for; the swap itself ends every session, this one's too
    kept = engine.take_over(target, former, new_kept_name(target))
    if engine.embedded:
        engine.discard(target, plan.former)
    return UndoResult(target.name, plan.former, kept, count_tables(target))


def beside(target: Target, name: str) -> str:
    """Return the address of another database of the same server, or of a file in the same folder."""
    return name if target.engine_name == "postgresql" else str(Path(str(target.url.database)).with_name(name))


def choose_target(target: Target, name: str) -> Target:
    """Return the target that is a new database beside this one.

    Raises RestoreRefused if it exists already, or for a name that a server or a file system would change or refuse.
    """
    if not NAME.fullmatch(name):
        raise RestoreRefused(
            f"{name!r} cannot be the name of a new database",
            why="1 to 63 letters, digits, dots, hyphens and underscores are understood everywhere",
            hint="choose another name; nothing was changed",
        )
    live = Path(str(target.url.database)).name
    if target.engine_name == "sqlite" and name.startswith((f"{live}-", f"{live}.")):
        raise RestoreRefused(
            f"{name!r} belongs to {live} itself",
            why="SQLite keeps its write-ahead log, and this CMS its lock, under names that begin so",
            hint="choose another name; nothing was changed",
        )
    new = replace(target, url=target.url.set(database=beside(target, name)))
    if not engine_for(new).is_absent(new):
        raise RestoreRefused(f"{new.name} exists already", hint="choose another name; nothing was changed")
    return new
