"""A folder of Markdown files becomes posts: each file is accounted for, and a second run changes nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from sqlalchemy import select

from cms.exchange.errors import FileUnusable
from cms.exchange.import_request import ImportRequest, find_assets, resolved_folder
from cms.exchange.models import ImportedFile
from cms.exchange.picture_links import PictureSource
from cms.exchange.prepared_posts import PreparedPost, prepare_post
from cms.exchange.report import FileOutcome, ImportReport, Outcome, make_report
from cms.exchange.source_folder import SourceFile, list_sources, read_source
from cms.exchange.stored_posts import Sender, Terms, store_post
from cms.extensions import db, transaction

# On SQLite a transaction keeps every other writer out; 50 files take about half a second.
BATCH_FILES = 50

Batch = list[SourceFile]
Watch = Callable[[list[Batch]], Iterable[Batch]]


@dataclass(frozen=True)
class Run:
    """One import while it goes on."""

    request: ImportRequest
    terms: Terms
    folder: Path
    pictures: PictureSource
    outcomes: list[FileOutcome] = field(default_factory=list)

    def key_of(self, source: SourceFile) -> str:
        return f"{self.request.prefix}{source.path}"


def import_folder(request: ImportRequest, *, at: datetime, watch: Watch = iter) -> ImportReport:
    """Import every Markdown file below a folder, 50 in a transaction, and say what became of each.

    A file that cannot be used is reported and stops no other. A process that is killed leaves whole posts, and the
    next run does the rest. A dry run is one transaction, rolled back; on SQLite no other writes can happen meanwhile.
    at: now. watch: sees the batches go by.
    Raises FolderUnusable.
    """
    run = start(request, at)
    sources = list_sources(run.folder)
    batches = [sources[first : first + BATCH_FILES] for first in range(0, len(sources), BATCH_FILES)]
    with undone() if request.dry_run else nullcontext():
        for batch in watch(batches):
            import_batch(run, batch)
        gone = find_gone(run, sources)
    return make_report(
        str(run.folder), run.outcomes, gone=gone, pictures_stored=len(run.pictures.stored), dry_run=request.dry_run
    )


def start(request: ImportRequest, at: datetime) -> Run:
    folder = resolved_folder(request.folder)
    assets = find_assets(folder, request.assets)
    terms = Terms(at=at, default_author=request.default_author, overwrite=request.overwrite)
    return Run(request, terms, folder, PictureSource(folder, assets, request.media_dir, dry_run=request.dry_run))


@contextmanager
def undone() -> Iterator[None]:
    """Run a transaction and roll it back."""
    with transaction() as session:
        yield
        session.rollback()


def writing(request: ImportRequest) -> AbstractContextManager[object]:
    return nullcontext() if request.dry_run else transaction()  # a dry run is in one already


def import_batch(run: Run, batch: Batch) -> None:
    """Read the files first, so that the transaction is short; then store what is new, in the files' order."""
    hashes = known_hashes([run.key_of(source) for source in batch if source.why_not is None])
    if not run.request.dry_run:
        db.session.rollback()  # gives the connection back while the files are read
    examined = [examine(run, source, hashes) for source in batch]
    if all(isinstance(each, FileOutcome) for each in examined):
        run.outcomes.extend(each for each in examined if isinstance(each, FileOutcome))
        return
    with writing(run.request):
        for each in examined:
            outcome = each if isinstance(each, FileOutcome) else store_post(db.session, *each, run.terms)
            run.outcomes.append(outcome)
        db.session.flush()
        db.session.expunge_all()  # or a dry run over 10,000 files would keep them all


def known_hashes(keys: list[str]) -> dict[str, str]:
    """Return the hash of each file that was imported before."""
    wanted = select(ImportedFile.source, ImportedFile.sha256).where(ImportedFile.source.in_(keys))
    return {row.source: row.sha256 for row in db.session.execute(wanted)}


def examine(run: Run, source: SourceFile, hashes: dict[str, str]) -> tuple[Sender, PreparedPost] | FileOutcome:
    """Read one file: return its post ready to be stored, or what became of it without that."""
    if source.why_not is not None:
        outcome: Outcome = "skipped" if source.is_error else "ignored"
        return FileOutcome(source=source.shown, outcome=outcome, why=source.why_not)
    try:
        content = read_source(run.folder / source.path)
        sender = Sender(run.key_of(source), source.shown, hashlib.sha256(content.data).hexdigest())
        if hashes.get(sender.key) == sender.sha256:
            return FileOutcome(source=source.shown, outcome="unchanged")
        return sender, prepare_post(source, content, run.pictures)
    except FileUnusable as error:
        why = f"{error.what}: {error.why}" if error.why else error.what
        return FileOutcome(source=source.shown, outcome="skipped", line=error.line, why=why)


def find_gone(run: Run, sources: list[SourceFile]) -> tuple[str, ...]:
    """Return the files that were imported once under this name and are no longer in the folder."""
    prefix = run.request.prefix
    present = {run.key_of(source) for source in sources}
    keys = db.session.scalars(select(ImportedFile.source).order_by(ImportedFile.source))
    ours = (key for key in keys if (key.startswith(prefix) if prefix else ":" not in key))
    return tuple(key.removeprefix(prefix) for key in ours if key not in present)
