"""What an import did, file by file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

# ignored: not for us, such as a link. kept: the post was edited here since, and stays as it is. skipped: an error.
Outcome = Literal["imported", "changed", "unchanged", "kept", "ignored", "skipped"]

SOMETHING_FOUND = 3


@dataclass(frozen=True, kw_only=True)
class FileOutcome:
    """What became of one file.

    source: its path in the folder. slug: the post's, if there is one.
    line, why: where and why it was skipped, ignored or kept. notes: what a person should look at.
    """

    source: str
    outcome: Outcome
    slug: str | None = None
    line: int | None = None
    why: str | None = None
    notes: tuple[str, ...] = ()

    def lines(self) -> Iterator[str]:
        place = f":{self.line}" if self.line else ""
        address = f" -> /{self.slug}/" if self.slug and self.outcome in {"imported", "changed"} else ""
        yield f"{self.outcome:<10} {self.source}{place}{address}" + (f": {self.why}" if self.why else "")
        yield from (f"{'':<10}   {note}" for note in self.notes)


@dataclass(frozen=True, kw_only=True)
class ImportReport:
    """What an import did, or would do. Every file of the folder is one of ``files``.

    counts: how many files had each outcome. gone: files that were imported once and are no longer in the folder; their
    posts stay. pictures_stored: pictures that were not in the store before.
    """

    folder: str
    dry_run: bool
    counts: dict[str, int]
    pictures_stored: int
    files: tuple[FileOutcome, ...]
    gone: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """Return 3 if a file was skipped for an error, so that a script notices."""
        return SOMETHING_FOUND if self.counts.get("skipped") else 0

    def __str__(self) -> str:
        lines = [line for each in self.files for line in each.lines()]
        lines += [f"{'gone':<10} {source}: no longer in the folder; its post stays" for source in self.gone]
        return "\n".join([*lines, self.summary])

    @property
    def summary(self) -> str:
        """Return the figures in one line."""
        counted = [f"{number} {outcome}" for outcome, number in self.counts.items()]
        pictures = f"{self.pictures_stored} pictures stored"
        line = f"{len(self.files)} files: {', '.join([*counted, pictures])}"
        return f"{line} (dry run: nothing was changed)" if self.dry_run else line


def make_report(
    folder: str, files: list[FileOutcome], *, gone: tuple[str, ...], pictures_stored: int, dry_run: bool
) -> ImportReport:
    counts = Counter(each.outcome for each in files)
    return ImportReport(
        folder=folder,
        dry_run=dry_run,
        counts={str(outcome): number for outcome, number in sorted(counts.items())},
        pictures_stored=pictures_stored,
        files=tuple(files),
        gone=gone,
    )
