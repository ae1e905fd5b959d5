"""All that the site keeps about somebody, for themselves. Features add what they keep, as they add lines to a menu."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from flask import Flask, current_app
from sqlalchemy import select

from cms.accounts.models import User, UserSession
from cms.accounts.queries import AnySession
from cms.activity.models import Notification, NotificationPreference
from cms.activity.queries import ActivityFilter, iterate_activity

PARTS = "cms.accounts.my_data"
Entry = Mapping[str, Any]  # Any: values of JSON, times and UUIDs
Part = Callable[[AnySession, UUID], Iterable[Entry]]
NOT_THEIRS = frozenset({"password_hash", "secret_hash"})


def init_app(app: Flask) -> None:
    """Begin with what accounts and activity keep."""
    app.extensions[PARTS] = {
        "account": lambda session, user_id: rows_of(session, User, User.uuid == user_id),
        "sessions": lambda session, user_id: rows_of(session, UserSession, UserSession.user_id == user_id),
        "notifications": lambda session, user_id: rows_of(session, Notification, Notification.user_id == user_id),
        "notification_preferences": lambda session, user_id: rows_of(
            session, NotificationPreference, NotificationPreference.user_id == user_id
        ),
        "activity": lambda session, user_id: map(vars, iterate_activity(session, ActivityFilter(actor_id=user_id))),
    }


def add_to_my_data(app: Flask, name: str, part: Part) -> None:
    """Let a feature add what it keeps about somebody: it takes the session and whose it is, and yields entries."""
    app.extensions[PARTS][name] = part


def parts_of_my_data() -> dict[str, Part]:
    parts: dict[str, Part] = current_app.extensions[PARTS]
    return parts


def write_my_data(session: AnySession, parts: Mapping[str, Part], user_id: UUID) -> Iterator[str]:
    """Yield one JSON object, a list for each part: an entry a line, as it is read. Needs no application context."""
    before = "{"
    for name, part in parts.items():
        yield f"{before}\n{json.dumps(name)}: ["
        comma = "\n"
        for entry in part(session, user_id):
            yield comma + json.dumps(entry, default=as_text)
            comma = ",\n"
        yield "]"
        before = ","
    yield "\n}\n"


def rows_of(session: AnySession, table: type[Any], own: Any) -> Iterator[Entry]:  # Any: of any model
    """Yield rows without what would let others in."""
    columns = [column for column in table.__table__.columns if column.name not in NOT_THEIRS]
    for row in session.execute(select(*columns).where(own)):
        yield row._asdict()


def as_text(value: object) -> str:
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else str(value)
