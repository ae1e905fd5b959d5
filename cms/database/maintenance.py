"""Maintenance mode: one small file that every worker of the site sees at once, also while the database is away.

A run of ours holds a lock on the file, gone with its process: so one that a killed run left is told from one in use.
The file may be read by all users of the machine: who turned the mode on need not be who serves.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from cms.database.files import is_locked, new_folder, sync
from cms.errors import CmsError

SOON_S = 60
SOONEST_S = 10
READABLE = 0o644


@dataclass(frozen=True)
class Maintenance:
    """The mode, as it was turned on. until: when it is thought to end; run: the run that it belongs to, None of none.

    abandoned: that run died and left it.
    """

    since: datetime
    by: str
    why: str
    until: datetime | None = None
    run: str | None = None
    abandoned: bool = False

    def __str__(self) -> str:
        until = f", until about {self.until:%H:%M} UTC" if self.until else ""
        left = f"; run {self.run} died and left it" if self.abandoned else ""
        return f"since {self.since:%Y-%m-%d %H:%M:%S} UTC{until}, by {self.by}: {self.why}{left}"

    def retry_after_s(self, now: datetime) -> int:
        """Return after how many seconds it is worth asking again."""
        return max(int((self.until - now).total_seconds()), SOONEST_S) if self.until else SOON_S


def find_maintenance(path: Path) -> Maintenance | None:
    """Return the mode if it is on. Asked before each page: costs a look for a file that is not there.

    A file that cannot be read or understood counts as on: somebody wanted it, and a page too few does no harm.
    """
    try:
        told = json.loads(path.read_bytes())
        since, run = datetime.fromisoformat(told["since"]), told["run"]
        until = datetime.fromisoformat(told["until"]) if told["until"] else None
        abandoned = run is not None and not is_locked(path)
        return Maintenance(since, told["by"], told["why"], until, run, abandoned)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        return Maintenance(datetime.fromtimestamp(0, UTC), "unknown", f"{path} cannot be read: {error}")


def turn_on(path: Path, maintenance: Maintenance) -> int:
    """Write the file at once or not at all; return its descriptor, locked. Raises CmsError if it cannot be written."""
    about = {**asdict(maintenance), "since": iso(maintenance.since), "until": iso(maintenance.until)}
    fresh = path.with_name(f"{path.name}.new")
    try:
        new_folder(path.parent)
        fresh.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(fresh, flags, READABLE)
        os.fchmod(descriptor, READABLE)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.write(descriptor, json.dumps(about).encode())
        os.fsync(descriptor)
        fresh.replace(path)
        sync(path.parent)
    except OSError as error:
        raise CmsError(
            "maintenance mode cannot be turned on",
            why=f"{error.filename or path}: {error.strerror}",
            hint="set MAINTENANCE_FILE to a file in a folder that this user may write to; nothing was changed",
        ) from error
    return descriptor


def iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def turn_off(path: Path) -> bool:
    """Remove the file; return whether there was one. Raises CmsError if it cannot be removed."""
    try:
        path.unlink()
        sync(path.parent)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise CmsError(
            "maintenance mode cannot be turned off",
            why=f"{error.filename or path}: {error.strerror}",
            hint=f"as the user who may: rm {path}",
        ) from error
    return True


@contextmanager
def under_maintenance(path: Path, maintenance: Maintenance) -> Iterator[None]:
    """Keep the mode on for the block, and off after it, unless somebody else has it on: theirs stays as it is."""
    there = find_maintenance(path)
    if there and not there.abandoned:
        yield
        return
    descriptor = turn_on(path, maintenance)
    try:
        yield
    finally:
        turn_off(path)
        os.close(descriptor)
