"""What a revision did where it was run: how long, which locks, how much was written; and what that means for a site."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cms.database.progress import MEGABYTE
from cms.words import counted

# Weakest first, as PostgreSQL's manual orders them (13.3.1, table-level locks).
MODES = (
    "AccessShareLock",
    "RowShareLock",
    "RowExclusiveLock",
    "ShareUpdateExclusiveLock",
    "ShareLock",
    "ShareRowExclusiveLock",
    "ExclusiveLock",
    "AccessExclusiveLock",
)
FIRST_THAT_BLOCKS_WRITES = MODES.index("ShareLock")
READS_AND_WRITES = "reads and writes"
RULES = tuple(
    (re.compile(pattern, re.IGNORECASE), f"by its rules it blocks {what}")
    for pattern, what in (
        (r"DETACH PARTITION .* CONCURRENTLY", "reads and writes of the partition for a moment"),
        (r"^VACUUM\b.*\bFULL\b|^CLUSTER\b", "reads and writes of the table until it is done"),
        (r"\bCONCURRENTLY\b|VALIDATE CONSTRAINT|^(?:VACUUM|ANALYZE|SELECT)\b", "neither reads nor writes"),
        (r"^(?:INSERT|UPDATE|DELETE)\b", "neither reads nor writes, but of the same rows"),
    )
)


@dataclass(frozen=True)
class TableReceipt:
    """What one revision did to a table that was there before.

    lock: the strongest, by PostgreSQL's name; None on SQLite, which locks the file. held_s: from the beginning of the
    statement that took it to the end. rewritten: the table was written anew; scanned: read from end to end; rows: so
    many were written; size_bytes: with indexes, before. index_locked: nobody may use one of its indexes meanwhile.
    """

    table: str
    lock: str | None
    held_s: float
    rewritten: bool
    scanned: bool
    rows: int
    size_bytes: int
    index_locked: bool = False

    @property
    def blocks(self) -> str | None:
        """Return what others cannot do meanwhile; None if they can do all."""
        if self.lock == MODES[-1] or self.index_locked:
            return READS_AND_WRITES
        return "writes" if self.lock and MODES.index(self.lock) >= FIRST_THAT_BLOCKS_WRITES else None

    def __str__(self) -> str:
        verdict = (
            f"blocks {self.blocks} of {self.table} for about {duration(self.held_s)}" if self.blocks else self.table
        )
        said = [
            "writes the table anew" if self.rewritten else "",
            "reads all of it" if self.scanned and not self.rewritten else "",
            f"writes {counted(self.rows, 'row')}" if self.rows else "",
        ]
        more = ", ".join(filter(None, said))
        return f"{verdict} ({megabytes(self.size_bytes)}){f': {more}' if more else ''}"


@dataclass(frozen=True)
class RevisionReceipt:
    """One revision, as measured. grown_bytes: of write-ahead log on PostgreSQL, of the file on SQLite.

    outside: statements that ran outside of a transaction, whose locks nobody can measure afterwards. file_locked: the
    whole database was locked for writers, as SQLite does.
    """

    revision: str
    title: str
    duration_s: float
    grown_bytes: int
    tables: tuple[TableReceipt, ...]
    outside: tuple[str, ...]
    file_locked: bool

    def __str__(self) -> str:
        waiting = ", during which writers wait and readers do not" if self.file_locked else ""
        took = f"{duration(self.duration_s)}{waiting}"
        lines = [f"{self.revision}  {self.title}: {took}, {megabytes(self.grown_bytes)} written"]
        told = [table for table in self.tables if table.blocks or table.rows or table.scanned or table.rewritten]
        lines += map(str, told)
        lines += [f"{each} runs outside of a transaction: {judge_by_rule(each)}" for each in self.outside]
        if len(lines) == 1 and not self.file_locked:
            lines.append("nobody waits: no table that was there before is locked")
        return "\n    ".join(lines)


def judge_by_rule(statement: str) -> str:
    """Say what a statement outside of a transaction does to others, by PostgreSQL's documentation."""
    return next((said for rule, said in RULES if rule.search(statement)), "its locks were not measured")


def duration(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def megabytes(size_bytes: int) -> str:
    return f"{size_bytes / MEGABYTE:,.1f} MB"
