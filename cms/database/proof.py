"""Try a backup: restore it into a scratch database, and read back that everything is there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from cms.database.contents import Contents, read_contents
from cms.database.engines import engine_for
from cms.database.envelope import Envelope
from cms.database.errors import RestoreFailed
from cms.database.manifest import Proof
from cms.database.progress import Meter, Say
from cms.database.target import Target
from cms.words import counted


def prove(
    target: Target,
    dump: Path,
    contents: Contents,
    *,
    envelope: Envelope,
    on_copy: Callable[[Target], None] | None = None,
    say: Say,
) -> Proof:
    """Restore the dump beside the target, compare everything in it, and drop the copy again.

    contents: what the source held in the dump's own snapshot. The target itself is neither read nor locked.
    on_copy: what else to do with the copy, once it has served as proof.
    Raises RestoreFailed if anything differs, RestoreRefused if the role may not create databases, ToolMissing.
    """
    began = time.monotonic()
    left_out = find_left_out(target, contents)
    with restored(target, dump, contents, envelope=envelope, say=say) as copy:
        duration_ms = round((time.monotonic() - began) * 1000)
        if on_copy:
            on_copy(copy)
        return Proof(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", duration_ms, contents.rows, left_out)


@contextmanager
def restored(target: Target, dump: Path, contents: Contents, *, envelope: Envelope, say: Say) -> Iterator[Target]:
    """Give a scratch database that holds the dump, and exactly the contents; dropped at the end unless it took over.

    Raises RestoreFailed if it does not, RestoreRefused if the role may not create databases, ToolMissing.
    """
    engine, privileges = engine_for(target), not find_left_out(target, contents)
    with ExitStack() as stack:
        with Meter(say, f"loading {dump.name} beside {target.name}", total_bytes=dump.stat().st_size) as meter:
            loading = engine.restore_into_scratch(target, dump, envelope=envelope, privileges=privileges, meter=meter)
            scratch = stack.enter_context(loading)
        compare(scratch, contents if privileges else without_privileges(contents), say=say)
        yield scratch


def find_left_out(target: Target, contents: Contents) -> tuple[str, ...]:
    """Return the roles whose ownership and grants a restore at the target cannot bring back. Reads only."""
    if contents.definitions is None:
        return ()
    return engine_for(target).find_foreign_roles(target, contents.definitions)


def without_privileges(contents: Contents) -> Contents:
    if contents.definitions is None:
        return contents
    return replace(contents, definitions=replace(contents.definitions, privileges=None))


def compare(target: Target, expected: Contents, *, say: Say) -> None:
    """Raise RestoreFailed, naming what differs, unless the database holds exactly the expected contents."""
    engine = engine_for(target)
    with engine.snapshot(target) as snapshot:
        size_bytes = engine.size_bytes(snapshot.connection)
        counted_tables = counted(len(expected.tables), "table")
        with Meter(say, f"comparing {counted_tables} with the manifest", total_bytes=size_bytes) as meter:
            refuse_difference(read_contents(target, snapshot, meter), expected)


def refuse_difference(found: Contents, expected: Contents) -> None:
    """Raise RestoreFailed, naming what differs, unless what was restored is what was backed up."""
    if wrong := found.differs_in(expected):
        raise RestoreFailed(
            f"the restored copy differs from the backup's manifest in {', '.join(wrong)}",
            why="row count, content hash or schema is not what was read when the backup was made",
            hint="do not rely on this backup; the database itself was not changed",
        )
