"""Write one backup of the whole site: dump, media and manifest in a folder that gets its final name only when whole."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from cms.database.contents import read_contents
from cms.database.engines import engine_for
from cms.database.engines.base import connecting
from cms.database.envelope import Envelope, envelope_for, parse_recipients
from cms.database.errors import BackupDamaged, BackupFailed
from cms.database.files import new_folder, sync
from cms.database.journal import who
from cms.database.keys import load_or_make_key
from cms.database.manifest import (
    FORMAT,
    MANIFEST_NAME,
    SIGNATURE_NAME,
    Manifest,
    read_manifest,
    read_sequence,
    write_manifest,
)
from cms.database.media import EarlierMedia, back_up_media
from cms.database.progress import Meter, Say
from cms.database.proof import prove
from cms.database.target import Target

PARTIAL = ".partial-"
BEFORE_RESTORING = "before restoring "
# Prose compresses to about half; tables that compress less are rare, and the check is repeated by the disk itself.
COMPRESSED_SHARE = 0.6
GROWTH = 1.2


@dataclass(frozen=True)
class BackupPlan:
    """What would be backed up, and where to. size_bytes: of the database now; proof: whether it would be tried."""

    database: str
    server: str
    tables: int
    size_bytes: int
    folder: Path
    proof: bool

    def __str__(self) -> str:
        tried = "and try it by restoring it beside the database" if self.proof else "without trying it"
        return (
            f"would back up {self.tables} tables ({self.size_bytes:,} bytes) of {self.database} ({self.server}) "
            f"into {self.folder}, {tried}"
        )


@dataclass(frozen=True)
class BackupResult:
    """One backup that is whole and on the disk. proven: it was restored, and held what the source held.

    left_out: the roles whose ownership and grants the proof could not try.
    """

    id: str
    folder: Path
    revision: str | None
    tables: int
    rows: int
    media: int
    size_bytes: int
    proven: bool
    encrypted: bool
    left_out: tuple[str, ...]
    duration_ms: int

    def __str__(self) -> str:
        standing = "proven: restored, and every table equal" if self.proven else "UNPROVEN: it was not tried"
        secrecy = ", encrypted" if self.encrypted else ""
        untried = f"; not the ownership and grants of {', '.join(self.left_out)}" if self.left_out else ""
        return (
            f"backup {self.id} written to {self.folder}\n"
            f"  {standing}{untried}{secrecy}\n"
            f"  {self.tables} tables, {self.rows:,} rows, {self.media} media files, {self.size_bytes:,} bytes, "
            f"revision {self.revision or 'none'}, {self.duration_ms / 1000:.1f} s\n"
            f"  restore it with: python manage.py restore {self.folder}"
        )


def plan_backup(target: Target, *, proof: bool = True) -> BackupPlan:
    """Look at the database and at the folder for backups. Reads only.

    Raises DatabaseUnreachable, ToolMissing; ConfigurationError for a key that is none; BackupFailed if the folder is
    unsafe or has too little room.
    """
    engine = engine_for(target)
    with connecting(target, engine.open_tool(target)) as connection:
        server = engine.describe_server(connection)
        engine.find_tools(target, connection)
        tables = engine.list_tables(connection)
        size_bytes = engine.size_bytes(connection)
        if proof and not engine.may_create_databases(connection):
            raise BackupFailed(
                f"a backup of {target.name} could not be proven",
                why=f"the role {target.url.username} may not create databases, and a proof restores into a new one",
                hint=f"as a superuser: ALTER ROLE {target.url.username} CREATEDB; or take it unproven with --no-proof "
                "(BACKUP_PROOF=off); nothing was written",
            )
    parse_recipients(target.age_recipients)
    refuse_unsafe_folder(target.backup_dir)
    refuse_full_disk(target.backup_dir, estimate_dump(target, size_bytes))
    if proof and engine.embedded:
        refuse_full_disk(Path(str(target.url.database)).parent, size_bytes)
    described = f"{target.engine_name} {server.version}"
    return BackupPlan(target.name, described, len(tables), size_bytes, target.backup_dir, proof)


def apply_backup(
    target: Target, plan: BackupPlan, *, why: str, on_copy: Callable[[Target], None] | None = None, say: Say
) -> BackupResult:
    """Write the backup and, if planned, prove it. Writers of the database go on; all that is read is of one moment.

    why: the reason, for the manifest. on_copy: what else to do with the copy that the proof restores; must not raise.
    Takes a lock on its own new folder only.
    Raises BackupFailed, RestoreFailed (the proof failed), RestoreRefused, ToolMissing, DatabaseUnreachable; a partial
    folder is removed then, and one that a killed run left is removed by the next.
    """
    began = time.monotonic()
    new_folder(plan.folder)
    remove_partials(plan.folder)
    name = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
    envelope = envelope_for(target.age_recipients)
    with partial_folder(plan.folder, name) as partial:
        key = load_or_make_key(target, is_first=find_newest(plan.folder) is None, say=say)
        manifest = write_contents(target, partial, name=name, why=why, envelope=envelope, say=say)
        if plan.proof:
            dump = partial / manifest.dump.name
            proof = prove(target, dump, manifest.contents, envelope=envelope, on_copy=on_copy, say=say)
            manifest = replace(manifest, proof=proof)
        with Meter(say, "copying media") as meter:
            earlier = find_earlier(plan.folder, key, envelope.recipients)
            media = back_up_media(target.media_dir, partial, earlier=earlier, envelope=envelope, meter=meter)
        duration_ms = round((time.monotonic() - began) * 1000)
        with locked(plan.folder):  # two backups must not take the same number
            sequence = max(map(read_sequence, list_backup_folders(plan.folder)), default=0) + 1
            manifest = replace(manifest, media=media, sequence=sequence, duration_ms=duration_ms)
            write_manifest(partial, manifest, key)
            publish(partial, plan.folder / name)
    return describe(manifest, plan.folder / name)


def write_contents(target: Target, partial: Path, *, name: str, why: str, envelope: Envelope, say: Say) -> Manifest:
    """Dump one snapshot, and read in the same snapshot what must be in it."""
    engine = engine_for(target)
    with engine.snapshot(target) as snapshot:
        created_at = datetime.now(UTC)
        server = engine.describe_server(snapshot.connection)
        size_bytes = engine.size_bytes(snapshot.connection)
        # Before the dump: a sequence may move on at any moment, and the restored one must not be behind.
        with Meter(say, "counting and hashing every table", total_bytes=size_bytes) as meter:
            contents = read_contents(target, snapshot, meter)
        with Meter(say, f"dumping {target.name}", total_bytes=size_bytes) as meter:
            path = partial / f"{engine.dump_name}{envelope.suffix}"
            dump = engine.dump(target, snapshot, path, envelope=envelope, meter=meter)
    return Manifest(
        format=FORMAT,
        id=name,
        sequence=0,
        created_at=f"{created_at:%Y-%m-%dT%H:%M:%SZ}",
        why=why,
        who=who(),
        engine=target.engine_name,
        server_version=server.version,
        identity=engine.identify(target),
        tool=dump.tool,
        duration_ms=0,
        contents=contents,
        files=(dump.file,),
        media=(),
        recipients=envelope.recipients,
        proof=None,
    )


def describe(manifest: Manifest, folder: Path) -> BackupResult:
    contents = manifest.contents
    return BackupResult(
        manifest.id,
        folder,
        contents.revision,
        len(contents.tables),
        contents.rows,
        len(manifest.media),
        manifest.size_bytes,
        manifest.proof is not None,
        bool(manifest.recipients),
        manifest.proof.left_out if manifest.proof else (),
        manifest.duration_ms,
    )


def list_backup_folders(parent: Path) -> list[Path]:
    """Return every folder of a complete backup, oldest first."""
    return sorted((path.parent for path in parent.glob(f"[!.]*/{MANIFEST_NAME}")), key=read_sequence)


def find_newest(parent: Path) -> Path | None:
    return next(reversed(list_backup_folders(parent)), None)


def find_earlier(parent: Path, key: bytes, recipients: tuple[str, ...]) -> EarlierMedia | None:
    """Return the media of the newest backup that can be trusted, if they are encrypted for the same keys."""
    for folder in reversed(list_backup_folders(parent)):
        with suppress(BackupDamaged):
            manifest = read_manifest(folder, key)
            same = set(manifest.recipients) == set(recipients)
            return EarlierMedia(folder, {entry.name: entry for entry in manifest.media}) if same else None
    return None


@contextmanager
def partial_folder(parent: Path, name: str) -> Iterator[Path]:
    """Give a new folder that goes away when the block raises; ``publish`` gives it its final name.

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


def publish(partial: Path, final: Path) -> None:
    """Give a whole backup its final name, with everything on the disk first. Raises OSError."""
    folders = [path for path in partial.rglob("*") if path.is_dir()]
    for path in (partial / MANIFEST_NAME, partial / SIGNATURE_NAME, *folders, partial):
        sync(path)
    partial.rename(final)
    sync(final.parent)


@contextmanager
def locked(folder: Path, flags: int = fcntl.LOCK_EX) -> Iterator[None]:
    """Hold a lock on a folder. Raises BlockingIOError if ``flags`` say not to wait."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, flags)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def reading(folder: Path) -> Iterator[None]:
    """Keep a backup from being pruned while it is read. Raises BackupDamaged if there is none."""
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(folder, fcntl.LOCK_SH))
        except OSError as error:
            raise BackupDamaged(
                f"{folder} is not a whole backup", why=str(error.strerror), hint="give the folder of one backup"
            ) from error
        yield


def remove_partials(parent: Path) -> None:
    """Remove the partial folders of runs that were killed; those in progress hold their lock."""
    with locked(parent):
        for partial in parent.glob(f"{PARTIAL}*"):
            with suppress(OSError), locked(partial, fcntl.LOCK_EX | fcntl.LOCK_NB):
                shutil.rmtree(partial)


def list_partials(parent: Path) -> list[Path]:
    """Return the partial folders of runs that were killed; none where the folder cannot be read."""
    found: list[Path] = []
    with suppress(OSError), locked(parent):
        for partial in sorted(parent.glob(f"{PARTIAL}*")):
            with suppress(OSError), locked(partial, fcntl.LOCK_EX | fcntl.LOCK_NB):
                found.append(partial)
    return found


def estimate_dump(target: Target, size_bytes: int) -> int:
    """Return how much room a dump of the database takes: a little more than the last one, or a guess."""
    newest, engine = find_newest(target.backup_dir), engine_for(target)
    last_bytes = sum(path.stat().st_size for path in newest.glob(f"{engine.dump_name}*")) if newest else 0
    guess = size_bytes if engine.embedded else size_bytes * COMPRESSED_SHARE
    return round(last_bytes * GROWTH or guess)


def refuse_full_disk(folder: Path, needed_bytes: int) -> None:
    """Raise BackupFailed if the folder's disk surely has too little room."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free_bytes = shutil.disk_usage(existing).free
    if free_bytes < needed_bytes:
        raise BackupFailed(
            f"{folder} has too little room for a backup",
            why=f"about {needed_bytes:,} bytes are needed and {free_bytes:,} are free",
            hint="remove old backups with `python manage.py prune-backups`, or set BACKUP_DIR to another disk; "
            "nothing was written",
        )


def refuse_unsafe_folder(folder: Path) -> None:
    """Raise BackupFailed if others could plant or read files where backups go."""
    if problem := find_folder_problem(folder):
        raise BackupFailed(
            f"{folder} cannot hold backups",
            why=problem,
            hint=f"chmod 700 {folder}, or set BACKUP_DIR to a folder of your own; the database was not touched",
        )


def find_folder_problem(folder: Path) -> str | None:
    """Return why the folder is not safe for backups; None if it is, or if it is not there yet."""
    if folder.is_symlink():
        return f"it is a link to {folder.readlink()}, which whoever may change the link can turn elsewhere"
    if not folder.exists():
        return None
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        return "it is not a folder that this user may write to"
    if folder.stat().st_mode & 0o022:
        return f"its mode {folder.stat().st_mode & 0o777:o} lets others write into it"
    if folder.stat().st_uid not in {os.geteuid(), 0}:
        return "it belongs to another user"
    return None
