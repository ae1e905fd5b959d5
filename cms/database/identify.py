"""Say which revision a database's schema is, whatever its version table says, and how it differs from another one."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path

import sqlalchemy as sa
from alembic.script import ScriptDirectory
from sqlalchemy.exc import DBAPIError

from cms.database.differences import Difference, find_nearest
from cms.database.engines import engine_for
from cms.database.engines.base import connecting
from cms.database.errors import RevisionUnknown, SchemaUnknown
from cms.database.expected import read_expected
from cms.database.facts import Fact
from cms.database.files import read_regular
from cms.database.fingerprint import Fingerprint, read_fingerprint
from cms.database.history import get_script, load_scripts, unknown_in_database
from cms.database.revision_files import find_removal
from cms.database.target import Target
from cms.errors import CmsError
from cms.words import counted

DIFFERS = 3
LARGEST_FILE_BYTES = 64 * 2**20


@dataclass(frozen=True)
class SchemaReport:
    """The schema of a database. equal_to: revisions whose schema is the same, oldest first; nearest: if there is none.

    other: what it was compared with, if that was asked for; difference: to that.
    """

    database: str
    hash: str
    equal_to: tuple[str, ...]
    nearest: Difference | None
    other: str | None
    difference: Difference | None
    facts: tuple[Fact, ...]

    @property
    def exit_code(self) -> int:
        return DIFFERS if self.difference and self.difference.size else 0

    def __str__(self) -> str:
        return "\n".join([f"{self.database}: {self.hash}", *self.verdict()])

    def verdict(self) -> list[str]:
        if self.difference:
            return [as_text(self.difference, str(self.other))]
        if self.nearest:
            return [as_text(self.nearest, f"the nearest revision, {self.nearest.revision}")]
        return [f"equal to revision {' and '.join(self.equal_to)}"] if self.equal_to else ["it holds no table of ours"]


def as_text(difference: Difference, other: str) -> str:
    if not difference.size:
        return f"equal to {other}"
    lines = "".join(f"\n  {line}" for line in difference.lines)
    return f"{counted(difference.size, 'difference')} to {other}:{lines}"


def identify(target: Target, *, other: str | None = None) -> SchemaReport:
    """Read the schema and compare it with every revision. Takes no lock, changes nothing.

    other: a revision, or a file with the JSON of a SchemaReport, to compare it with.
    Raises SchemaUnknown if other is neither, DatabaseUnreachable, DatabaseUnsupported, HistoryBroken.
    """
    scripts = load_scripts(target)
    with connecting(target, engine_for(target).open_tool(target)) as connection:
        found = read_fingerprint(connection)
    expected = read_expected(target, scripts)
    equal = tuple(revision for revision, there in expected.items() if there == found)
    nearest = find_nearest(found, expected) if found.facts and not equal else None
    difference = None
    if other is not None:
        there = read_report(Path(other)) if Path(other).exists() else expected[revision_named(other, target)]
        difference = Difference(other, there.missing_from(found), found.missing_from(there))
    return SchemaReport(target.name, found.hash, equal, nearest, other, difference, found.facts)


def explain_unknown(
    target: Target, connection: sa.Connection, scripts: ScriptDirectory, revision: str
) -> RevisionUnknown:
    """Return the error for a revision that the database names and no file has: who removed it, what the schema is."""
    unknown = unknown_in_database(revision, find_removal(Path(scripts.versions), revision))
    try:
        nearest = find_nearest(read_fingerprint(connection), read_expected(target, scripts))
    except (CmsError, DBAPIError):  # what the schema is like was only to help
        return unknown
    if nearest.size:
        like = f"its schema is nearest to revision {nearest.revision}, with {counted(nearest.size, 'difference')}"
        return RevisionUnknown(unknown.what, why=f"{unknown.why}; {like}", hint=unknown.hint)
    given_up = f"if that revision is given up for good: flask db stamp --purge {nearest.revision}"
    like = f"its schema is that of revision {nearest.revision}"
    return RevisionUnknown(unknown.what, why=f"{unknown.why}; {like}", hint=f"{unknown.hint}; {given_up}")


def revision_named(name: str, target: Target) -> str:
    """Return the id of a revision. Raises SchemaUnknown for what names none."""
    try:
        return str(get_script(load_scripts(target), name).revision)
    except RevisionUnknown as unknown:
        raise SchemaUnknown(
            f"{name} is neither a revision nor a file",
            why=unknown.why,
            hint="give a revision's id, or a file that `fingerprint --json` of the other database wrote",
        ) from unknown


def read_report(file: Path) -> Fingerprint:
    """Return the schema in a file that `fingerprint --json` wrote. Raises SchemaUnknown for any other."""
    try:
        written = json.loads(read_regular(file, LARGEST_FILE_BYTES))["facts"]
        facts = {Fact(*(str(each[field.name]) for field in fields(Fact))) for each in written}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise SchemaUnknown(
            f"{file} holds no fingerprint",
            why=f"{type(error).__name__}: {error}",
            hint="write it with: python manage.py fingerprint --json > FILE",
        ) from error
    return Fingerprint(tuple(sorted(facts)))
