"""Restore a backup: verified before any tool opens it, loaded beside the database, compared, then put in place."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cms.database.backup import BEFORE_RESTORING, apply_backup, plan_backup, reading
from cms.database.closing import closed
from cms.database.contents import read_contents, read_revision
from cms.database.engines import engine_for
from cms.database.engines.base import Snapshot, connecting, kept_prefix
from cms.database.envelope import Envelope, envelope_of
from cms.database.errors import DatabaseUnreachable, RestoreFailed, RestoreRefused
from cms.database.fingerprint import read_fingerprint
from cms.database.history import is_known, load_scripts
from cms.database.journal import new_run_id
from cms.database.keys import load_key
from cms.database.manifest import Manifest, verify_backup
from cms.database.media import restore_media
from cms.database.progress import Meter, Say
from cms.database.proof import find_left_out, refuse_difference, restored
from cms.database.target import Target
from cms.words import counted

STAMP = "%Y%m%d%H%M%S"


@dataclass(frozen=True)
class RestorePlan:
    """What would be restored where.

    occupied: how many tables the database holds now. left_out: roles whose ownership and grants cannot come back.
    in_place: whether the database is emptied and filled in one transaction, and not replaced by a new one.
    """

    folder: Path
    backup: str
    created_at: str
    standing: str
    database: str
    tables: int
    rows: int
    occupied: int
    left_out: tuple[str, ...]
    in_place: bool

    def __str__(self) -> str:
        what = (
            f"restore backup {self.backup} of {self.created_at} ({counted(self.tables, 'table')}, {self.rows:,} rows, "
            f"{self.standing}) into {self.database}"
        )
        if not self.occupied:
            return f"{what}, which is empty{describe_left_out(self.left_out)}"
        there = "the table" if self.occupied == 1 else f"the {self.occupied} tables"
        if self.in_place:
            return f"{what}; empties it first, after an UNPROVEN backup of {there} there"
        return f"{what}; replaces {there} there, kept aside{describe_left_out(self.left_out)}"


@dataclass(frozen=True)
class RestoreResult:
    """What took over, everything compared with the manifest before.

    kept: where the former database is. safety: the backup of it, where it could not be kept.
    """

    backup: str
    database: str
    tables: int
    rows: int
    media: int
    kept: str | None
    safety: Path | None
    left_out: tuple[str, ...]
    duration_ms: int

    def __str__(self) -> str:
        done = (
            f"{self.database} now holds backup {self.backup}: {counted(self.tables, 'table')}, {self.rows:,} rows, "
            f"all equal to the manifest; {counted(self.media, 'missing media file')} brought back "
            f"({self.duration_ms / 1000:.1f} s){describe_left_out(self.left_out)}"
        )
        lines = [done]
        if self.kept:
            lines.append(f"  what was there before is kept as {self.kept}; `restore --undo` brings it back")
        if self.safety:
            lines.append(f"  what was there before is in the UNPROVEN backup {self.safety}")
        return "\n".join(lines)


def describe_left_out(roles: tuple[str, ...]) -> str:
    return f"; without owners and grants, for want of the roles {', '.join(roles)}" if roles else ""


def plan_restore(
    target: Target, folder: Path, *, replacing: bool = False, into: str | None = None, in_place: bool = False
) -> RestorePlan:
    """Verify the backup and look at the database. Reads only.

    replacing: the database may hold something. into: the database's own name, typed by a person who knows that the
    backup is of another database, or of newer code. in_place: see ``apply_restore``.
    Raises BackupDamaged; RestoreRefused if the database is of another kind, holds tables and ``replacing`` is not set,
    or if the backup is of another database, of a schema that this release does not know, or encrypted for others.
    """
    manifest = verify_backup(folder, load_key(target))
    refuse_other_engine(target, manifest)
    envelope_of(manifest.recipients, target.age_identity)
    if into is None:
        refuse_other_database(target, manifest)
        refuse_unknown_revision(target, manifest)
    elif into != target.database_name:
        raise RestoreRefused(
            f"--into names {into}, and DATABASE_URL names {target.database_name}",
            hint="set DATABASE_URL to the database that you mean; nothing was changed",
        )
    occupied = count_tables(target)
    if occupied and not replacing:
        raise RestoreRefused(
            f"{target.name} is not empty",
            why=f"it holds {counted(occupied, 'table')}",
            hint="add --replace to put it aside, or --to-new-database NAME to leave it alone; nothing was changed",
        )
    contents = manifest.contents
    left_out = () if in_place else find_left_out(target, contents)
    return RestorePlan(
        folder, manifest.id, manifest.created_at, manifest.standing, target.name, len(contents.tables), contents.rows,
        occupied, left_out, in_place,
    )  # fmt: skip


def apply_restore(target: Target, plan: RestorePlan, *, say: Say) -> RestoreResult:
    """Load the backup into a scratch database, compare everything, then let that take over at once.

    In place, where the role may make no database: after a backup of what is there, everything of this role is dropped
    and loaded and compared in one transaction; others wait for its locks meanwhile.

    Holds the deploy lock while it loads and compares, so that a running migration is waited for; what starts after
    that is ended by the swap. Whatever fails, the database stays as it was.
    Raises BackupDamaged, BackupFailed, RestoreFailed, RestoreRefused, DatabaseBusy, ToolMissing.
    """
    began = time.monotonic()
    with reading(plan.folder):
        manifest = verify_backup(plan.folder, load_key(target))
        envelope = envelope_of(manifest.recipients, target.age_identity)
        apply = restore_in_place if plan.in_place else restore_beside
        media, kept, safety = apply(target, plan, manifest, envelope=envelope, say=say)
    confirm(target, manifest, kept or safety)
    if kept and not plan.occupied:
        engine_for(target).discard(target, kept)
        kept = None
    duration_ms = round((time.monotonic() - began) * 1000)
    return RestoreResult(
        manifest.id, target.name, plan.tables, plan.rows, media, kept, safety, plan.left_out, duration_ms
    )


def restore_beside(
    target: Target, plan: RestorePlan, manifest: Manifest, *, envelope: Envelope, say: Say
) -> tuple[int, str | None, None]:
    """Return how many media came back, and where the former database is."""
    dump = plan.folder / manifest.dump.name
    with ExitStack() as scratches:
        with locked_if_there(target, say), telling_of_the_disk(target):
            scratch = scratches.enter_context(restored(target, dump, manifest.contents, envelope=envelope, say=say))
            media = restore_media(plan.folder, manifest.media, target.media_dir, envelope=envelope)
        say("putting it in place")
        return media, engine_for(target).take_over(target, scratch, new_kept_name(target)), None


@contextmanager
def telling_of_the_disk(target: Target) -> Iterator[None]:
    """Raise RestoreFailed for what the disk refuses before anything was put in place."""
    try:
        yield
    except OSError as error:
        raise RestoreFailed(
            f"the backup could not be loaded beside {target.name}",
            why=str(error),
            hint=f"check folders and free space; {target.name} still holds what it held before",
        ) from error


def restore_in_place(
    target: Target, plan: RestorePlan, manifest: Manifest, *, envelope: Envelope, say: Say
) -> tuple[int, None, Path | None]:
    """Return how many media came back, and the backup of what was there."""
    engine, dump, expected = engine_for(target), plan.folder / manifest.dump.name, manifest.contents
    safety = None
    if plan.occupied:
        why = f"{BEFORE_RESTORING}{manifest.id} in place"
        safety = apply_backup(target, plan_backup(target, proof=False), why=why, say=say).folder
    with (
        engine.deploy_lock(target, say),
        closed(target, "a restore in place", run=new_run_id(), for_s=None, say=say),
        Meter(say, f"emptying and loading {target.name}", total_bytes=manifest.dump.size_bytes) as meter,
        engine.loaded_in_place(target, dump, envelope=envelope, meter=meter) as connection,
    ):
        # Nobody else sees it yet, pg_dump neither: what it would say of the definitions is not compared.
        found = read_contents(target, Snapshot(connection, token=""), meter, definitions=False)
        refuse_difference(found, expected)
        media = restore_media(plan.folder, manifest.media, target.media_dir, envelope=envelope)
    return media, None, safety


def confirm(target: Target, manifest: Manifest, former: str | Path | None) -> None:
    """Raise RestoreFailed unless the database itself has the backup's revision and schema now.

    Its rows were compared before it took over; here the site may already be writing them.
    former: where what was there before is.
    """
    with connecting(target, engine_for(target).open_tool(target)) as connection:
        found = read_revision(connection), read_fingerprint(connection).hash
    if found != (manifest.contents.revision, manifest.contents.fingerprint):
        raise RestoreFailed(
            f"{target.name} does not hold backup {manifest.id} after the restore",
            why="its revision or schema is not the backup's; perhaps another run changed it right after",
            hint="look at `python manage.py showmigrations`"
            + (f"; what was there before is kept as {former}" if former else ""),
        )


def new_kept_name(target: Target) -> str:
    """Return a name that sorts after all that are there, also within one second and when the clock was set back."""
    prefix, moment = kept_prefix(target), datetime.now(UTC)
    for name in engine_for(target).list_kept(target):
        with suppress(ValueError):  # not one of ours, which only begins so
            moment = max(moment, datetime.strptime(f"{name[len(prefix) :][:14]}Z", f"{STAMP}%z") + timedelta(seconds=1))
    return f"{prefix}{moment:{STAMP}}_{secrets.token_hex(2)}"


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


def refuse_other_database(target: Target, manifest: Manifest) -> None:
    identity = engine_for(target).identify(target)
    if manifest.identity != identity:
        raise RestoreRefused(
            f"backup {manifest.id} is of another database than {target.name}",
            why=f"it was taken from {manifest.identity}, and this is {identity}",
            hint=f"if you mean it, say so: --into {target.database_name}; nothing was changed",
        )


def refuse_unknown_revision(target: Target, manifest: Manifest) -> None:
    if manifest.contents.revision and not is_known(load_scripts(target), manifest.contents.revision):
        raise RestoreRefused(
            f"backup {manifest.id} is at revision {manifest.contents.revision}, which this release does not know",
            why="it was made by newer code; this release could not work on it",
            hint="deploy the release that made it, then restore; or, if you mean it, "
            f"--into {target.database_name}; nothing was changed",
        )
