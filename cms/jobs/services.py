"""What can be done with jobs. The caller holds the transaction: a job is stored with its use case, or not at all."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeAlias
from uuid import UUID

from sqlalchemy import delete, orm, select, update
from sqlalchemy.dialects import postgresql, sqlite

from cms.jobs.errors import JobInvalid, JobUnknown
from cms.jobs.models import DONE, FAILED, WAITING, Job
from cms.web.logs import find_request_id

AnySession: TypeAlias = orm.Session | orm.scoped_session[Any]  # Any: Flask-SQLAlchemy's registry, or a plain session

NAME = re.compile(r"[a-z_]+\.[a-z_]+")
LONGEST_KEY = 200
LARGEST_BYTES = 1_000_000
# JSON that PostgreSQL cannot store: it has no NUL in text, and no half of a surrogate pair.
UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")
KEPT = timedelta(days=7)
BATCH = 500


def enqueue(
    session: AnySession,
    kind: str,
    arguments: Mapping[str, Any],
    *,
    at: datetime,
    due_at: datetime | None = None,
    key: str | None = None,
) -> UUID | None:
    """Store something to do after the transaction's end; a worker does it once it is due. Flushes.

    kind: its name, such as "mail.send". arguments: a JSON object of at most 1 MB: texts, whole numbers, lists, objects.
    at: now. due_at: not before then; by default now.
    key: of two jobs with one key the second is not stored, as long as the first is kept: a week after it was done.
    Returns the job's id, or None if there was one with this key. Raises JobInvalid.
    """
    check_job(kind, arguments, key)
    row = {
        "id": uuid.uuid4(),
        "kind": kind,
        "arguments": dict(arguments),
        "status": WAITING,
        "key": key,
        "attempts": 0,
        "due_at": due_at or at,
        "created_at": at,
        "changed_at": at,
        "request_id": find_request_id(),
    }
    session.flush()
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    stored = session.execute(insert(Job).values(row).on_conflict_do_nothing(index_elements=["key"]).returning(Job.id))
    return stored.scalar_one_or_none()


def check_job(kind: str, arguments: Mapping[str, Any], key: str | None) -> None:  # Any: see enqueue
    """Raise JobInvalid for what one of the engines would not store, or would give back as something else."""
    if not NAME.fullmatch(kind) or (key is not None and (len(key) > LONGEST_KEY or UNSTORABLE.search(key))):
        raise JobInvalid(
            f"a job cannot be called {kind[:60]!r}, key {str(key)[:60]!r}",
            hint=f"a kind is two words with a dot between them, a key has at most {LONGEST_KEY} characters",
        )
    try:
        written = json.dumps(arguments, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise JobInvalid(f"the arguments of a job {kind} are no JSON", why=str(error).partition("\n")[0]) from error
    if len(written) > LARGEST_BYTES:
        raise JobInvalid(f"the arguments of a job {kind} are too large", why=f"{len(written)} of {LARGEST_BYTES} bytes")
    if json.loads(written) != arguments or any(UNSTORABLE.search(text) for text in texts_of(arguments)):
        raise JobInvalid(
            f"the arguments of a job {kind} would not come back as they are",
            why="a key is no text, or a text holds a NUL or half of a surrogate pair, or there is a fraction",
        )


def texts_of(value: object) -> list[str]:
    """Return every text in a JSON value, keys included; a fraction counts as a text that cannot be stored."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, float):  # JSONB keeps 1e300 as a whole number of 301 digits
        return ["\x00"]
    if isinstance(value, Mapping):
        return [text for pair in value.items() for part in pair for text in texts_of(part)]
    return [text for part in value for text in texts_of(part)] if isinstance(value, list | tuple) else []


def retry_jobs(session: AnySession, ids: Collection[UUID] | None, *, at: datetime) -> int:
    """Let failed jobs be tried again from the first attempt on; returns how many.

    ids: which; None for all that have failed. Raises JobUnknown that names the first that is not there or not failed.
    """
    found = find_failed(session, ids)
    again = {"status": WAITING, "attempts": 0, "due_at": at, "changed_at": at}
    session.execute(update(Job).where(Job.id.in_(found)).values(again))
    return len(found)


def drop_jobs(session: AnySession, ids: Collection[UUID] | None) -> int:
    """Remove failed jobs; returns how many. ids: as in ``retry_jobs``, and so is what it raises."""
    found = find_failed(session, ids)
    session.execute(delete(Job).where(Job.id.in_(found)))
    return len(found)


def find_failed(session: AnySession, ids: Collection[UUID] | None) -> set[UUID]:
    failed = select(Job.id).where(Job.status == FAILED).with_for_update()
    found = set(session.scalars(failed if ids is None else failed.where(Job.id.in_(ids))))
    if missing := [each for each in ids or () if each not in found]:
        hint = "see `python manage.py list-jobs --status failed`; nothing was changed"
        raise JobUnknown(f"there is no failed job {missing[0]}", hint=hint)
    return found


def prune_jobs(session: AnySession, *, at: datetime) -> int:
    """Remove up to 500 jobs that were done a week ago or longer; returns how many. Failed ones stay for people."""
    old = select(Job.id).where(Job.status == DONE, Job.changed_at < at - KEPT).limit(BATCH)
    ids = session.scalars(old).all()
    session.execute(delete(Job).where(Job.id.in_(ids)))
    return len(ids)
