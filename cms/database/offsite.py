"""Copies of backups at another place: a folder of another disk, S3, or what else obstore speaks.

A copy lies under the backup's id, with the names that it has in its folder; media lie once for all backups under
``media/`` and their digest. Everything is read back after it was sent, and the manifest comes last: a backup without
one is not there.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cms.database.backup import list_backup_folders, partial_folder, publish, reading, refuse_full_disk
from cms.database.errors import BackupDamaged, CopyFailed
from cms.database.files import FileEntry, new_folder, open_private, sync
from cms.database.keys import load_key
from cms.database.manifest import (
    LARGEST_BYTES,
    MANIFEST_NAME,
    SIGNATURE_NAME,
    Manifest,
    read_manifest,
    verify_backup,
)
from cms.database.media import FOLDER as MEDIA
from cms.database.progress import Meter, Say
from cms.database.shelf import BackupList, describe, find_folder, list_backups
from cms.database.target import Target
from cms.words import counted

if TYPE_CHECKING:
    from obstore.store import ObjectStore

ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}")
PIECE_BYTES = 8 << 20
# Each request moves one piece at most; a place that does not answer is given up on within a minute or two.
# Plain http is what an endpoint of one's own network may speak: whoever sets such an address means it.
CLIENT = {"timeout": "60s", "connect_timeout": "5s", "allow_http": True}
BACKOFF = {"init_backoff": timedelta(milliseconds=200), "max_backoff": timedelta(seconds=2), "base": 2}
RETRIES = {"max_retries": 3, "retry_timeout": timedelta(seconds=60), "backoff": BACKOFF}


@dataclass(frozen=True)
class CopyPlan:
    """Which backups are not at the other place yet, oldest first."""

    place: str
    missing: tuple[str, ...]

    def __str__(self) -> str:
        lines = [f"would copy {name}" for name in self.missing]
        return "\n".join([*lines, f"{counted(len(self.missing), 'backup')} to copy to {self.place}"])


@dataclass(frozen=True)
class CopyResult:
    """Which backups were copied, and read back. size_bytes: what was sent; media that were there are not."""

    place: str
    copied: tuple[str, ...]
    size_bytes: int

    def __str__(self) -> str:
        if not self.copied:
            return f"every backup is at {self.place} already"
        return f"copied {counted(len(self.copied), 'backup')} to {self.place}: {self.size_bytes:,} bytes, read back"


class Place:
    """The other place. Every method raises CopyFailed if it does not answer, refuses, or has nothing of that name."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._is_folder = url.startswith("file:")
        with self._told("cannot be used"):
            from obstore.store import from_url  # noqa: PLC0415 - 9 MB that only a copy needs

            if self._is_folder:
                new_folder(Path(url.removeprefix("file://")))
            options: dict[str, Any] = {} if self._is_folder else {"client_options": CLIENT, "retry_config": RETRIES}
            self._store: ObjectStore = from_url(url, **options)

    def list_ids(self) -> list[str]:
        """Return the ids of the backups that are whole there, oldest first."""
        import obstore  # noqa: PLC0415

        with self._told("cannot be listed"):
            found = obstore.list_with_delimiter(self._store)["common_prefixes"]
        names = sorted(name.rstrip("/") for name in found if ID.fullmatch(name.rstrip("/")))
        return [name for name in names if self.size_of(f"{name}/{MANIFEST_NAME}") is not None]

    def size_of(self, name: str) -> int | None:
        """Return how large a file is there; None if it is not there."""
        import obstore  # noqa: PLC0415

        with self._told(f"does not tell of {name}"):
            try:
                return int(obstore.head(self._store, name)["size"])
            except FileNotFoundError:
                return None

    def send(self, path: Path, name: str) -> None:
        """Send a file; on a disk it is private from the start and synced."""
        import obstore  # noqa: PLC0415

        with self._told(f"did not take {name}"), private_umask():
            obstore.put(self._store, name, path, chunk_size=PIECE_BYTES, max_concurrency=2)
        if self._is_folder:
            place = Path(self.url.removeprefix("file://")) / name
            for each in (place, *list(place.parents)[: name.count("/") + 1]):
                sync(each)

    def read(self, name: str, size_bytes: int) -> Iterator[bytes]:
        """Yield a file's content in pieces, so many bytes at most."""
        import obstore  # noqa: PLC0415

        for start in range(0, size_bytes, PIECE_BYTES):
            length = min(PIECE_BYTES, size_bytes - start)
            with self._told(f"does not give {name}"):
                piece = bytes(obstore.get_range(self._store, name, start=start, length=length))
            yield piece

    def remove(self, name: str) -> None:
        import obstore  # noqa: PLC0415

        with self._told(f"did not remove {name}"):
            obstore.delete(self._store, name)

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        from obstore.exceptions import BaseError  # noqa: PLC0415

        try:
            yield
        except (BaseError, OSError, ValueError) as error:
            raise CopyFailed(
                f"the place for copies {self.url} {what}",
                why=str(error).partition("\n\n")[0].replace("\n", " ")[:300],
                hint="check BACKUP_COPY_URL and the rights of its key; the backups here are as they were",
            ) from error


@contextmanager
def private_umask() -> Iterator[None]:
    """Make new files 0600 and folders 0700: the library has no option for that."""
    usual = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(usual)


def plan_copy(target: Target, place: Place) -> CopyPlan:
    """Compare what is here with what is there. Reads only. Raises CopyFailed, BackupDamaged."""
    there = set(place.list_ids())
    missing = (folder.name for folder in list_backup_folders(target.backup_dir) if folder.name not in there)
    return CopyPlan(place.url, tuple(name for name in missing if ID.fullmatch(name)))


def apply_copy(target: Target, place: Place, plan: CopyPlan, *, say: Say) -> CopyResult:
    """Copy each backup that is not there yet, and read every file back. Raises CopyFailed, BackupDamaged.

    What was sent of a backup that could not be finished stays there without a manifest, and is sent again.
    """
    sent_bytes = 0
    for name in plan.missing:
        folder = target.backup_dir / name
        with reading(folder):
            manifest = verify_backup(folder, load_key(target))
            with Meter(say, f"copying {name} to {place.url}", total_bytes=manifest.size_bytes) as meter:
                sent_bytes += send_backup(place, folder, manifest, key=load_key(target), meter=meter)
    return CopyResult(place.url, plan.missing, sent_bytes)


def send_backup(place: Place, folder: Path, manifest: Manifest, *, key: bytes, meter: Meter) -> int:
    """Send one backup, the manifest last; return how many bytes were sent."""
    known = list_known_media(place, key)
    entries = [*manifest.files, *(entry for entry in manifest.media if entry.sha256 not in known)]
    entries += [describe_here(folder, name) for name in (SIGNATURE_NAME, MANIFEST_NAME)]
    for entry in entries:
        name = name_there(folder.name, entry)
        place.send(folder / entry.name, name)
        refuse_other_content(place, name, entry)
        meter.add(size_bytes=entry.size_bytes)
    return sum(entry.size_bytes for entry in entries)


def describe_here(folder: Path, name: str) -> FileEntry:
    content = (folder / name).read_bytes()
    return FileEntry(name, len(content), hashlib.sha256(content).hexdigest())


def name_there(backup: str, entry: FileEntry) -> str:
    if entry.name.startswith(f"{MEDIA}/"):
        return f"{MEDIA}/{entry.sha256[:2]}/{entry.sha256}"
    return f"{backup}/{entry.name}"


def list_known_media(place: Place, key: bytes) -> set[str]:
    """Return the digests of media that were read back when the newest backup there was copied, and are still there."""
    for name in reversed(place.list_ids()):
        with suppress(BackupDamaged):  # another site's, or changed there: it vouches for nothing
            entries = read_manifest_there(place, name, key).media
            return {entry.sha256 for entry in entries if place.size_of(name_there(name, entry)) == entry.size_bytes}
    return set()


def refuse_other_content(place: Place, name: str, entry: FileEntry) -> None:
    """Read a file back. Raises CopyFailed, and removes it there, if it is not what was sent."""
    digest, size_bytes = hashlib.sha256(), place.size_of(name) or 0
    if size_bytes == entry.size_bytes:
        for piece in place.read(name, size_bytes):
            digest.update(piece)
    if size_bytes != entry.size_bytes or digest.hexdigest() != entry.sha256:
        with suppress(CopyFailed):
            place.remove(name)
        raise CopyFailed(
            f"{name} at {place.url} is not what was sent",
            why=f"{size_bytes:,} bytes came back, {entry.size_bytes:,} were sent, or their SHA-256 is another",
            hint="the backups here are as they were; look at the place, then run `python manage.py copy-backups`",
        )


def read_manifest_there(place: Place, name: str, key: bytes) -> Manifest:
    """Read a manifest at the other place. Raises BackupDamaged, CopyFailed."""
    import tempfile  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        fetch_manifest(place, name, Path(folder))
        return read_manifest(Path(folder), key)


def fetch_manifest(place: Place, backup: str, folder: Path) -> None:
    for name in (MANIFEST_NAME, SIGNATURE_NAME):
        size_bytes = place.size_of(f"{backup}/{name}")
        if size_bytes is None or size_bytes > LARGEST_BYTES:
            raise BackupDamaged(
                f"{backup} at {place.url} is not a whole backup",
                why=f"{name} is " + ("missing" if size_bytes is None else f"{size_bytes:,} bytes large"),
                hint="use another backup; nothing was changed",
            )
        save(place.read(f"{backup}/{name}", size_bytes), folder / name, lambda _size: None)


def list_everywhere(target: Target, place: Place) -> BackupList:
    """List the backups here and there, by age. Raises CopyFailed, BackupDamaged if there is no key."""
    here, there = list_backups(target), place.list_ids()
    key = load_key(target) if there else b""
    entries = [replace(entry, copied=entry.id in there) for entry in here.backups]
    names = {entry.id for entry in entries}
    for name in there:
        if name not in names:
            entry = describe(name, None, partial(read_manifest_there, place, name, key))
            entries.append(replace(entry, copied=True))
    return BackupList(here.folder, tuple(sorted(entries, key=lambda entry: entry.id)), place.url)


def find_backup(target: Target, named: Path, *, say: Say) -> Path:
    """Return the folder that a person means: a path, or the id of a backup that is here or, fetched now, there.

    Raises CopyFailed, BackupDamaged, BackupFailed.
    """
    folder = find_folder(target, named)
    if folder.exists() or not target.copy_url or not ID.fullmatch(str(named)):
        return folder
    place = Place(target.copy_url)
    return fetch_backup(target, place, str(named), say=say) if str(named) in place.list_ids() else folder


def fetch_backup(target: Target, place: Place, backup: str, *, say: Say) -> Path:
    """Bring a backup from the other place into the folder for backups, and verify it; return its folder.

    Raises BackupDamaged, BackupFailed (no room), CopyFailed; nothing stands under a final name then.
    """
    key, final = load_key(target), target.backup_dir / backup
    new_folder(target.backup_dir)
    with partial_folder(target.backup_dir, backup) as unfinished:
        fetch_manifest(place, backup, unfinished)
        manifest = read_manifest(unfinished, key)
        refuse_full_disk(target.backup_dir, manifest.size_bytes)
        with Meter(say, f"fetching {backup} from {place.url}", total_bytes=manifest.size_bytes) as meter:
            for entry in (*manifest.files, *manifest.media):
                new_folder((unfinished / entry.name).parent)
                pieces = place.read(name_there(backup, entry), entry.size_bytes)
                save(pieces, unfinished / entry.name, lambda size: meter.add(size_bytes=size))
        verify_backup(unfinished, key)
        publish(unfinished, final)
    return final


def save(pieces: Iterator[bytes], path: Path, count: Callable[[int], None]) -> None:
    with open_private(path) as file:
        for piece in pieces:
            file.write(piece)
            count(len(piece))
    sync(path)
