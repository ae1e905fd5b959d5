"""Recording what was done, in the transaction in which it is done: what is rolled back never happened."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select

from cms.activity.errors import ActivityInvalid
from cms.activity.models import ActivityLog
from cms.jobs.services import AnySession
from cms.web.logs import escaped, find_request_id

ACTION = re.compile(r"[a-z_]+\.[a-z_]+")
SECRET = re.compile(r"password|passwd|secret|token|cookie|authorization", re.IGNORECASE)
LONGEST_ACTION = 60
LONGEST_NAME = 300
LONGEST_TEXT = 1000
DEEPEST = 4
BATCH = 1000


@dataclass(frozen=True)
class Actor:
    """Who does something. id: None for whoever has no account, such as an operator at a terminal."""

    id: UUID | None
    name: str


@dataclass(frozen=True)
class Subject:
    """What something is done to. type: "blog"; id: as text; name: what people call it at this moment."""

    type: str
    id: str
    name: str = ""


def record(
    session: AnySession,
    action: str,
    *,
    actor: Actor,
    at: datetime,
    about: Subject | None = None,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Write down that somebody did something, with the id of the request. The caller holds the transaction.

    action: what and in which way, such as "blog.published". at: now.
    details: what else one may want to know, as texts, numbers, lists and objects; a text keeps its first 1,000
    characters, and what only one engine could store is spelled out.
    Raises ActivityInvalid for an action that is none, and for details that are called a password, a token or the like.
    """
    if not ACTION.fullmatch(action) or len(action) > LONGEST_ACTION:
        raise ActivityInvalid(f"{action[:60]!r} is no action", hint="two words with a dot between them: blog.published")
    row = ActivityLog(
        id=uuid.uuid4(),
        happened_at=at,
        actor_id=actor.id,
        actor_name=storable(actor.name, 255),
        action=action,
        request_id=find_request_id(),
        details=storable_details(details or {}),
    )
    if about is not None:
        row.object_type, row.object_id = about.type, storable(about.id, 100)
        row.object_name = storable(about.name, LONGEST_NAME)
    session.add(row)


def storable(text: str, limit: int) -> str:
    return escaped(text)[:limit]


def storable_details(details: Mapping[str, Any]) -> dict[str, Any]:  # Any: values of JSON
    """Return details as both engines store them alike. Raises ActivityInvalid."""
    return {storable_key(key): storable_value(value, depth=1) for key, value in details.items()}


def storable_key(key: object) -> str:
    if SECRET.search(str(key)):
        raise ActivityInvalid(f"{str(key)[:60]!r} does not belong into the activity log", why="it names a secret")
    return storable(str(key), 100)


def storable_value(value: Any, *, depth: int) -> Any:  # Any: values of JSON
    if value is None or isinstance(value, bool | int):
        return value if value is None or abs(value) < 1 << 63 else str(value)[:LONGEST_TEXT]
    if isinstance(value, Mapping) and depth < DEEPEST:
        return {storable_key(key): storable_value(inner, depth=depth + 1) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset) and depth < DEEPEST:
        return [storable_value(inner, depth=depth + 1) for inner in value]
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return storable(str(value), LONGEST_TEXT)


def prune_activity(session: AnySession, *, keep_days: int, at: datetime) -> int:
    """Remove up to 1,000 entries older than so many days, the oldest first; returns how many. 0 days keep everything.

    Call it in a transaction of its own until it returns 0: each is short, whatever there is to remove.
    """
    if not keep_days:
        return 0
    old = select(ActivityLog.id).where(ActivityLog.happened_at < at - timedelta(days=keep_days))
    ids = session.scalars(old.order_by(ActivityLog.happened_at, ActivityLog.id).limit(BATCH)).all()
    session.execute(delete(ActivityLog).where(ActivityLog.id.in_(ids)))
    return len(ids)
