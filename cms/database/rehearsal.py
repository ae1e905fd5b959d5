"""Run the pending revisions on a copy of this very database before they run on it, and measure what they do there."""

from __future__ import annotations

import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from alembic import command

from cms.database.errors import MigrationFailed
from cms.database.history import Revision, alembic_config
from cms.database.progress import Say
from cms.database.receipts import RevisionReceipt, duration
from cms.database.rolling import Rolling, Trial
from cms.database.target import Target
from cms.errors import CmsError


@dataclass(frozen=True)
class Rehearsal:
    """What came of it. failure: why a revision could not be applied to the copy; the receipts end before it.

    rolling: whether the release that serves meanwhile gets along with the new schema; None if that was not looked at.
    """

    duration_s: float
    receipts: tuple[RevisionReceipt, ...]
    failure: CmsError | None = None
    rolling: Rolling | None = None

    def __str__(self) -> str:
        lines = [f"rehearsed on a copy in {duration(self.duration_s)}:", *map(str, self.receipts)]
        lines += [str(self.rolling)] if self.rolling else []
        return "\n  ".join(lines)


def rehearse(scratch: Target, *, goal: str | None = None, say: Say) -> Rehearsal:
    """Bring the copy where the database itself is to go. Never raises: a failure is the result.

    scratch: a copy that nobody else uses, and that goes away. goal: an older revision; None for the newest one.
    Going up, what the release that still serves asks is tried before and after.
    """
    began = time.monotonic()
    receipts: list[RevisionReceipt] = []
    config = alembic_config(scratch)
    config.attributes.update(lock_held=True, say=lambda _line: None, receipts=receipts)
    say("rehearsing on the copy")
    rolling = None
    try:
        trial = None if goal else Trial(scratch)
        command.downgrade(config, goal) if goal else command.upgrade(config, "head")
        rolling = trial.finish() if trial else None
    except CmsError as failure:
        return Rehearsal(time.monotonic() - began, tuple(receipts), failure)
    except Exception as error:  # noqa: BLE001 - a revision may raise anything
        line = traceback.extract_tb(error.__traceback__)[-1]
        why = f"{type(error).__name__}: {error} ({Path(line.filename).name}, line {line.lineno})"
        return Rehearsal(time.monotonic() - began, tuple(receipts), MigrationFailed("a bug in the revision", why=why))
    return Rehearsal(time.monotonic() - began, tuple(receipts), rolling=rolling)


def refuse_failure(target: Target, rehearsal: Rehearsal, pending: Sequence[Revision]) -> None:
    """Raise MigrationFailed, without having touched the database, if a revision failed on the copy."""
    if rehearsal.failure is None:
        return
    failed = pending[len(rehearsal.receipts)]
    raise MigrationFailed(
        f"revision {failed.id} failed in the rehearsal, so nothing was applied to {target.name}",
        why=f"on a copy of this database: {rehearsal.failure.what}: {rehearsal.failure.why}",
        hint="mend the revision or the data that it stumbles over, and run the same command again; the backup stays",
    )
