"""Close the site, by maintenance mode, for the revisions that would make its readers wait or meet errors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from alembic.script import ScriptDirectory

from cms.database.history import Revision, get_script
from cms.database.journal import who
from cms.database.maintenance import Maintenance, under_maintenance
from cms.database.progress import Say
from cms.database.receipts import READS_AND_WRITES, TableReceipt, duration
from cms.database.rehearsal import Rehearsal
from cms.database.target import Target


def find_declared(scripts: ScriptDirectory, pending: Sequence[Revision]) -> str | None:
    """Return that a revision asks for it, by ``maintenance = True`` in its file; None if none does."""
    asking = [each.id for each in pending if getattr(get_script(scripts, each.id).module, "maintenance", False)]
    return f"revision {asking[0]} asks for it" if asking else None


def find_measured(target: Target, rehearsed: Rehearsal) -> str | None:
    """Return what was measured that readers should not meet; None if they can go on reading."""
    from_s = target.limits.maintenance_from_s
    for receipt in rehearsed.receipts:
        longest = max(filter(keeps_readers_waiting, receipt.tables), key=lambda table: table.held_s, default=None)
        if longest and from_s and longest.held_s >= from_s:
            held = duration(longest.held_s)
            return f"revision {receipt.revision} keeps readers of {longest.table} waiting for about {held}"
    if rehearsed.rolling and rehearsed.rolling.broken:
        return "what the release that serves asks would fail; restart its processes with the new code"
    return None


def keeps_readers_waiting(table: TableReceipt) -> bool:
    return table.blocks == READS_AND_WRITES


@contextmanager
def closed(target: Target, why: str | None, *, run: str, for_s: float | None, say: Say) -> Iterator[None]:
    """Keep the site closed for the block if there is a reason to. Raises CmsError if the file cannot be written.

    for_s: how long that is thought to take, which visitors are told; None if nobody knows.
    """
    if why is None:
        yield
        return
    say(f"maintenance mode is on: {why}")
    now = datetime.now(UTC)
    until = None if for_s is None else now + timedelta(seconds=for_s)
    with under_maintenance(target.maintenance_file, Maintenance(now, who(), why, until, run)):
        yield
