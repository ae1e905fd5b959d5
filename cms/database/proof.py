"""Try a backup: restore it into a scratch database, and read back that everything is there."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

from cms.database.contents import Contents, read_contents
from cms.database.engines import engine_for
from cms.database.engines.base import connecting
from cms.database.errors import RestoreFailed
from cms.database.manifest import Proof
from cms.database.target import Target


def prove(target: Target, dump: Path, contents: Contents) -> Proof:
    """Restore the dump beside the target, compare schema, row counts and hashes, and drop the copy again.

    contents: what the source held in the dump's own snapshot. The target itself is neither read nor locked.
    Raises RestoreFailed if anything differs, RestoreRefused if the role may not create databases, ToolMissing.
    """
    began = time.monotonic()
    with engine_for(target).restore_into_scratch(target, dump) as scratch:
        compare(scratch, contents)
    return Proof(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", round((time.monotonic() - began) * 1000))


def compare(target: Target, expected: Contents) -> None:
    """Raise RestoreFailed, naming what differs, unless the database holds exactly the expected contents."""
    engine = engine_for(target)
    with connecting(target, engine.open_tool(target)) as connection:
        wrong = read_contents(engine, connection).differs_in(expected)
    if wrong:
        raise RestoreFailed(
            f"the restored copy differs from the backup's manifest in {', '.join(wrong)}",
            why="row count, content hash or schema is not what was read when the backup was made",
            hint="do not rely on this backup; the database itself was not changed",
        )
