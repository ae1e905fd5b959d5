"""Restore a backup: verified before any tool opens it, loaded beside the database, compared, then put in place."""

from __future__ import annotations

import secrets
import time
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cms.database.backup import read_revision
from cms.database.engines import engine_for
from cms.database.engines.base import Say, connecting
from cms.database.errors import DatabaseUnreachable, RestoreFailed, RestoreRefused
from cms.database.history import is_known, load_scripts
from cms.database.manifest import Manifest, TableEntry, read_manifest, verify_files
from cms.database.target import Target


@dataclass(frozen=True)
class RestorePlan:
    """What would be restored where. occupied: how many tables the database holds now."""

    folder: Path
    backup: str
    created_at: str
    database: str
    tables: int
    rows: int
    occupied: int

    def __str__(self) -> str:
        now = f"replaces the {self.occupied} tables there, which are kept aside" if self.occupied else "which is empty"
        return (
            f"restore backup {self.backup} of {self.created_at} ({self.tables} tables, {self.rows:,} rows) "
            f"into {self.database}; {now}"
        )


@dataclass(frozen=True)
class RestoreResult:
    """What the database holds now, every table compared with the manifest. kept: where the former database is."""

    backup: str
    database: str
    tables: int
    rows: int
    kept: str | None
    duration_ms: int

    def __str__(self) -> str:
        done = (
            f"{self.database} now holds backup {self.backup}: {self.tables} tables, {self.rows:,} rows, "
            f"all equal to the manifest ({self.duration_ms / 1000:.1f} s)"
        )
        return f"{done}\n  what was there before is kept as {self.kept}" if self.kept else done


def plan_restore(target: Target, folder: Path, *, replace: bool = False) -> RestorePlan:
    """Verify the backup and look at the database. Reads only.

    Raises BackupDamaged; RestoreRefused if the database is of another kind, holds tables and ``replace`` is not set,
    or if the backup is of a schema that this release does not know.
    """
    manifest = read_manifest(folder)
    verify_files(folder, manifest)
    refuse_other_engine(target, manifest)
    refuse_unknown_revision(target, manifest)
    occupied = count_tables(target)
    if occupied and not replace:
        raise RestoreRefused(
            f"{target.name} is not empty",
            why=f"it holds {occupied} tables",
            hint="restore into a new database by setting DATABASE_URL, or add --replace; nothing was changed",
        )
    return RestorePlan(
        folder, manifest.id, manifest.created_at, target.name, len(manifest.tables), manifest.rows, occupied
    )


def apply_restore(target: Target, plan: RestorePlan, *, say: Say) -> RestoreResult:
    """Load the backup into a scratch database, compare every table, then let that take over at once.

    Holds the deploy lock while it loads and compares, so that a running migration is waited for; what starts after
    that is ended by the swap. Whatever fails, the database stays as it was.
    Raises BackupDamaged, RestoreFailed, RestoreRefused, DatabaseBusy, ToolMissing.
    """
    began = time.monotonic()
    engine = engine_for(target)
    manifest = read_manifest(plan.folder)
    verify_files(plan.folder, manifest)
    with ExitStack() as scratches:
        with locked_if_there(target, say):
            say("loading the backup beside the database")
            scratch = scratches.enter_context(engine.restore_into_scratch(target, plan.folder / engine.dump_name))
            say(f"comparing {len(manifest.tables)} tables with the manifest")
            compare(scratch, manifest)
        say("putting it in place")
        stamp = f"{datetime.now(UTC):%Y%m%d%H%M%S}_{secrets.token_hex(2)}"
        kept = engine.take_over(target, scratch, f"{kept_prefix(target)}_before_{stamp}")
    compare(target, manifest)
    if kept and not plan.occupied:
        engine.discard(target, kept)
        kept = None
    duration_ms = round((time.monotonic() - began) * 1000)
    return RestoreResult(manifest.id, target.name, len(manifest.tables), manifest.rows, kept, duration_ms)


def locked_if_there(target: Target, say: Say) -> AbstractContextManager[None]:
    engine = engine_for(target)
    return nullcontext() if engine.is_absent(target) else engine.deploy_lock(target, say)


def kept_prefix(target: Target) -> str:
    """Return the database's own name, short enough for the server's limit of 63 bytes with what follows."""
    return Path(str(target.url.database)).name[:36]


def compare(target: Target, manifest: Manifest) -> None:
    """Raise RestoreFailed unless every table has the manifest's row count and hash."""
    engine = engine_for(target)
    with connecting(target, engine.open_tool(target)) as connection:
        names = engine.list_tables(connection)
        found = {TableEntry(name, *engine.digest(connection, name)) for name in names}
        revision = read_revision(connection)
    wrong = {table.name for table in found ^ set(manifest.tables)}
    if wrong or revision != manifest.revision:
        raise RestoreFailed(
            f"the restored copy differs from the manifest in {', '.join(sorted(wrong)) or 'its revision'}",
            why="row count or content hash is not what was written when the backup was made",
            hint="use another backup; the database itself was not changed",
        )


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
    if manifest.revision and not is_known(load_scripts(target), manifest.revision):
        raise RestoreRefused(
            f"backup {manifest.id} is at revision {manifest.revision}, which this release does not know",
            why="it was made by newer code; this release could not work on it",
            hint="deploy the release that made it, then restore; nothing was changed",
        )
