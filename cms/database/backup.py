"""Write one backup of the whole database: a folder with dump and manifest, under its final name only when whole."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from cms.database.engines import engine_for
from cms.database.engines.base import DatabaseEngine, Say, Snapshot, connecting
from cms.database.errors import BackupFailed
from cms.database.files import new_folder, sync
from cms.database.history import VERSION_TABLE
from cms.database.manifest import FORMAT, Manifest, TableEntry, describe_file, write_manifest
from cms.database.target import Target

PARTIAL = ".partial-"


@dataclass(frozen=True)
class BackupPlan:
    """What would be backed up, and where to."""

    database: str
    server: str
    tables: int
    folder: Path

    def __str__(self) -> str:
        return f"would back up {self.tables} tables of {self.database} ({self.server}) into {self.folder}"


@dataclass(frozen=True)
class BackupResult:
    """One backup that is whole and on the disk."""

    id: str
    folder: Path
    revision: str | None
    tables: int
    rows: int
    size_bytes: int
    duration_ms: int

    def __str__(self) -> str:
        return (
            f"backup {self.id} written to {self.folder}\n"
            f"  {self.tables} tables, {self.rows:,} rows, {self.size_bytes:,} bytes, "
            f"revision {self.revision or 'none'}, {self.duration_ms / 1000:.1f} s\n"
            f"  restore it with: python manage.py restore {self.folder}"
        )


def plan_backup(target: Target) -> BackupPlan:
    """Look at the database and at the folder for backups. Reads only. Raises DatabaseUnreachable, BackupFailed."""
    engine = engine_for(target)
    with connecting(target, engine.open_tool(target)) as connection:
        server = engine.describe_server(connection)
        tables = engine.list_tables(connection)
    refuse_unsafe_folder(target.backup_dir)
    return BackupPlan(target.name, f"{target.engine_name} {server.version}", len(tables), target.backup_dir)


def apply_backup(target: Target, plan: BackupPlan, *, say: Say) -> BackupResult:
    """Write the backup. Writers of the database go on; what is dumped, counted and hashed is one moment of it.

    Takes a lock on its own new folder only. Raises BackupFailed, ToolMissing, DatabaseUnreachable; a partial folder
    is removed, and one that a killed run left is removed by the next.
    """
    began = time.monotonic()
    engine = engine_for(target)
    new_folder(plan.folder)
    remove_leftovers(plan.folder)
    name = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
    with partial_folder(plan.folder, name) as partial, engine.snapshot(target) as snapshot:
        dump = partial / engine.dump_name
        say(f"dumping {plan.database}")
        tool = engine.dump(target, snapshot, dump)
        say(f"counting and hashing {plan.tables} tables")
        tables = digest_tables(engine, snapshot)
        server = engine.describe_server(snapshot.connection)
        manifest = Manifest(
            format=FORMAT,
            id=name,
            created_at=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            engine=target.engine_name,
            server_version=server.version,
            identity=server.identity,
            tool=tool,
            revision=read_revision(snapshot.connection),
            duration_ms=round((time.monotonic() - began) * 1000),
            files=(describe_file(dump),),
            tables=tables,
        )
        write_manifest(partial, manifest)
    return BackupResult(
        name,
        plan.folder / name,
        manifest.revision,
        len(tables),
        manifest.rows,
        manifest.size_bytes,
        manifest.duration_ms,
    )


def digest_tables(engine: DatabaseEngine, snapshot: Snapshot) -> tuple[TableEntry, ...]:
    """Count and hash every table of the snapshot."""
    names = engine.list_tables(snapshot.connection)
    return tuple(TableEntry(name, *engine.digest(snapshot.connection, name)) for name in names)


def read_revision(connection: sa.Connection) -> str | None:
    """Return the revision as the database says it, also one that our files do not know."""
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    rows = connection.execute(sa.text(f"SELECT version_num FROM {VERSION_TABLE} ORDER BY 1")).scalars()  # noqa: S608
    return ", ".join(rows) or None


@contextmanager
def partial_folder(parent: Path, name: str) -> Iterator[Path]:
    """Give a new folder that gets its final name when the block ends, and goes away when it raises.

    Its lock, gone with the process, tells a backup in progress from what a killed one left. Raises BackupFailed.
    """
    partial = parent / f"{PARTIAL}{name}"
    try:
        with locked(parent):  # nobody may take the folder for a leftover before its own lock is held
            partial.mkdir(mode=0o700)
            lock = os.open(partial, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield partial
            os.fsync(lock)
            partial.rename(parent / name)
            sync(parent)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        finally:
            os.close(lock)
    except OSError as error:
        raise BackupFailed(
            "the backup could not be written",
            why=f"{error.filename or parent}: {error.strerror}",
            hint="check BACKUP_DIR and its free space; nothing stands under a final name, the database was not touched",
        ) from error


@contextmanager
def locked(folder: Path, flags: int = fcntl.LOCK_EX) -> Iterator[None]:
    """Hold a lock on a folder. Raises BlockingIOError if ``flags`` say not to wait."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, flags)
        yield
    finally:
        os.close(descriptor)


def remove_leftovers(parent: Path) -> None:
    """Remove the partial folders of runs that were killed; those in progress hold their lock."""
    with locked(parent):
        for partial in parent.glob(f"{PARTIAL}*"):
            with suppress(OSError), locked(partial, fcntl.LOCK_EX | fcntl.LOCK_NB):
                shutil.rmtree(partial)


def refuse_unsafe_folder(folder: Path) -> None:
    """Raise BackupFailed if others could plant or read files where backups go."""
    if not folder.exists():
        return
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        why = "it is not a folder that this user may write to"
    elif folder.stat().st_mode & 0o022:
        why = f"its mode {folder.stat().st_mode & 0o777:o} lets others write into it"
    elif folder.stat().st_uid not in {os.geteuid(), 0}:
        why = "it belongs to another user"
    else:
        return
    raise BackupFailed(
        f"{folder} cannot hold backups",
        why=why,
        hint=f"chmod 700 {folder}, or set BACKUP_DIR to a folder of your own; the database was not touched",
    )
