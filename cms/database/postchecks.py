"""Look at the database after an upgrade, through a connection of its own: is it what the history says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cms.database.differences import compare
from cms.database.engines import engine_for
from cms.database.engines.base import connecting
from cms.database.errors import MigrationFailed
from cms.database.expected import read_expected
from cms.database.fingerprint import Fingerprint, read_fingerprint
from cms.database.history import load_scripts, read_current
from cms.database.progress import Say
from cms.database.target import Target

NOTHING = Fingerprint(())


@dataclass(frozen=True)
class Before:
    """The schema before a run, and what it is to be at each revision; none where that cannot be found out."""

    current: str | None
    schema: Fingerprint
    expected: Mapping[str, Fingerprint]


def look_before(target: Target, current: str | None, *, say: Say) -> Before:
    """Read the schema as it is, and as the history says it is. Takes no lock."""
    try:
        expected = read_expected(target, load_scripts(target))
    except Exception as error:  # noqa: BLE001 - a revision may raise anything on an empty schema
        reason = f"{type(error).__name__}: {error}".partition("\n")[0]
        say(f"what the revisions change of the schema is not known: {reason}")
        expected = {}
    engine = engine_for(target)
    if engine.embedded and engine.is_absent(target):
        return Before(current, NOTHING, expected)
    with connecting(target, engine.open_tool(target)) as connection:
        return Before(current, read_fingerprint(connection), expected)


def look_after(target: Target, before: Before, head: str) -> tuple[str, ...]:
    """Return in words how the schema differs from that of ``head``, as it did before; nothing if it does not.

    Raises MigrationFailed if the database is not at ``head``, or if more has changed than the revisions change: also
    what a statement outside of a transaction left, such as an index that is not valid.
    """
    with connecting(target, engine_for(target).open_tool(target)) as connection:
        current = read_current(connection, load_scripts(target))
        schema = read_fingerprint(connection)
    if current != head:
        raise MigrationFailed(
            f"{target.name} is at {current} and not at {head}",
            why="the upgrade ended without an error and is not stored",
            hint="python manage.py check says more",
        )
    if head not in before.expected:
        return ()
    former = compare(head, before.schema, before.expected.get(before.current or "", NOTHING))
    found = compare(head, schema, before.expected[head])
    known = {*former.missing, *former.extra}
    moved = {(fact.kind, fact.name) for fact in former.extra}  # what is of a table that was renamed moves with it
    lost = [f"it lacks {fact}" for fact in found.missing if fact not in known]
    more = [f"it has {fact}" for fact in found.extra if fact not in known and (fact.kind, fact.name) not in moved]
    if lost or more:
        raise MigrationFailed(
            f"{target.name} is at {head}, and its schema is not what that revision makes",
            why="; ".join([*lost, *more]),
            hint="python manage.py check says more",
        )
    return found.lines
