"""Telling people on the site and by mail, as each wants it. The caller holds the transaction, and says whom."""

from __future__ import annotations

import re
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from cms.activity.errors import NoticeInvalid
from cms.activity.keyset import read_page
from cms.activity.models import Notification, NotificationPreference
from cms.jobs.services import AnySession
from cms.mail.services import send_mail, write_mail
from cms.web.logs import escaped
from cms.web.paging import Cursor, Page, Place
from cms.web.paths import is_own_path

KIND = re.compile(r"[a-z_]+\.[a-z_]+")
LONGEST_TEXT = 500
READ_KEPT = timedelta(days=90)
UNREAD_KEPT = timedelta(days=365)
BATCH = 1000


@dataclass(frozen=True)
class NoticeKind:
    """A kind of thing that people can be told. title: for the page of preferences; the rest: unless one chose."""

    name: str
    title: str
    on_site: bool = True
    by_mail: bool = False


KINDS: dict[str, NoticeKind] = {}


def notice_kind(name: str, title: str, *, on_site: bool = True, by_mail: bool = False) -> NoticeKind:
    """Declare a kind; a feature does so in its ``notices.py``, which its ``init_app`` imports."""
    if not KIND.fullmatch(name):
        raise NoticeInvalid(f"{name!r} is no kind of notice", hint="two words with a dot between them: blog.returned")
    return KINDS.setdefault(name, NoticeKind(name, title, on_site, by_mail))


@dataclass(frozen=True)
class Recipient:
    """Somebody to be told. email: None for an account that has none that works, such as an imported author's."""

    user_id: UUID
    email: str | None


@dataclass(frozen=True)
class Notice:
    """What is told. text: one sentence. path: where it leads to inside the site. key: nobody is told it twice."""

    kind: NoticeKind
    text: str
    path: str | None = None
    key: str | None = None


@dataclass(frozen=True)
class NoticeShown:
    """One notice as its reader sees it."""

    id: UUID
    kind: str
    text: str
    path: str | None
    created_at: datetime
    read_at: datetime | None

    @property
    def cursor(self) -> Cursor:
        return Cursor(self.created_at, self.id)


@dataclass(frozen=True)
class Preference:
    """How somebody wants to be told things of one kind."""

    kind: NoticeKind
    on_site: bool
    by_mail: bool


COLUMNS = [getattr(Notification, name) for name in NoticeShown.__dataclass_fields__]
PLACE_KEY = (Notification.created_at, Notification.id)


def notify(
    session: AnySession, recipients: Collection[Recipient], notice: Notice, *, site_url: str, at: datetime
) -> int:
    """Tell people something, on the site and by mail as each wants it; returns how many were told anew. Flushes.

    site_url: what a path in a mail stands on. Raises NoticeInvalid.
    """
    text = checked_text(notice)
    chosen = read_choices(session, notice.kind, [recipient.user_id for recipient in recipients])
    told = 0
    for recipient in {each.user_id: each for each in recipients}.values():
        on_site, by_mail = chosen.get(recipient.user_id, (notice.kind.on_site, notice.kind.by_mail))
        is_new = store(session, recipient, notice, text, is_read=not on_site, at=at) if on_site or by_mail else False
        if is_new and by_mail and recipient.email:
            url = f"{site_url}{notice.path}" if notice.path else None
            mail = write_mail("activity/mail/notice.txt", to=recipient.email, text=text, url=url)
            send_mail(session, mail, at=at)
        told += is_new
    return told


def checked_text(notice: Notice) -> str:
    """Return the text in one line. Raises NoticeInvalid for a path that leads away, and for what is too long."""
    text = escaped(" ".join(notice.text.split()))
    if not text or len(text) > LONGEST_TEXT or (notice.path is not None and not is_own_path(notice.path)):
        raise NoticeInvalid(
            f"nobody can be told {text[:60]!r}",
            why=f"it has {len(text)} characters, of 1 to {LONGEST_TEXT}, or leads elsewhere: {notice.path!r:.80}",
        )
    return text


def read_choices(session: AnySession, kind: NoticeKind, ids: Sequence[UUID]) -> dict[UUID, tuple[bool, bool]]:
    columns = (NotificationPreference.user_id, NotificationPreference.on_site, NotificationPreference.by_mail)
    found: dict[UUID, tuple[bool, bool]] = {}
    for first in range(0, len(ids), BATCH):
        some = NotificationPreference.user_id.in_(ids[first : first + BATCH])
        rows = session.execute(select(*columns).where(NotificationPreference.kind == kind.name, some))
        found |= {user_id: (on_site, by_mail) for user_id, on_site, by_mail in rows}
    return found


def store(session: AnySession, recipient: Recipient, notice: Notice, text: str, *, is_read: bool, at: datetime) -> bool:
    """Store one notice; False if this person was told it before. One that goes by mail alone counts as read."""
    row = {
        "id": uuid.uuid4(),
        "user_id": recipient.user_id,
        "kind": notice.kind.name,
        "text": text,
        "path": notice.path,
        "key": notice.key,
        "created_at": at,
        "read_at": at if is_read else None,
    }
    session.flush()
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    once = insert(Notification).values(row).on_conflict_do_nothing(index_elements=["user_id", "key"])
    return session.execute(once.returning(Notification.id)).one_or_none() is not None


def mark_read(session: AnySession, user_id: UUID, ids: Collection[UUID] | None, *, at: datetime) -> int:
    """Mark this person's notices as read; returns how many were not before.

    ids: which; None for all. Somebody else's are not touched.
    """
    unread = update(Notification).where(Notification.user_id == user_id, Notification.read_at.is_(None))
    if ids is not None:
        unread = unread.where(Notification.id.in_(ids))
    return len(session.execute(unread.values(read_at=at).returning(Notification.id)).all())


def set_preference(session: AnySession, user_id: UUID, kind: NoticeKind, *, on_site: bool, by_mail: bool) -> None:
    """Keep how somebody wants to be told things of one kind. Flushes."""
    session.merge(NotificationPreference(user_id=user_id, kind=kind.name, on_site=on_site, by_mail=by_mail))
    session.flush()


def list_preferences(session: AnySession, user_id: UUID) -> list[Preference]:
    """Return how this person is told things of each kind there is, in the order of their titles. One statement."""
    own = select(NotificationPreference).where(NotificationPreference.user_id == user_id)
    chosen = {each.kind: (each.on_site, each.by_mail) for each in session.scalars(own)}
    kinds = sorted(KINDS.values(), key=lambda kind: kind.title)
    return [Preference(kind, *chosen.get(kind.name, (kind.on_site, kind.by_mail))) for kind in kinds]


def list_notices(session: AnySession, user_id: UUID, place: Place, *, size: int) -> Page[NoticeShown]:
    """Return a page of this person's notices, newest first. One statement, on an index."""
    own = select(*COLUMNS).where(Notification.user_id == user_id)
    return read_page(session, own, place, key=PLACE_KEY, size=size, show=shown)


def count_unread(session: AnySession, user_id: UUID, *, at_most: int = 100) -> int:
    """Return how many notices this person has not read, at most so many: a page shows "99+". One statement."""
    unread = select(Notification.id).where(Notification.user_id == user_id, Notification.read_at.is_(None))
    return session.scalar(select(func.count()).select_from(unread.limit(at_most).subquery())) or 0


def shown(row: Row[Any]) -> NoticeShown:
    return NoticeShown(*row)


def prune_notices(session: AnySession, *, at: datetime) -> int:
    """Remove up to 1,000 notices read 90 days ago, or a year old; returns how many. Call it until it returns 0."""
    is_old = (Notification.created_at < at - UNREAD_KEPT) | (Notification.created_at < at - READ_KEPT) & (
        Notification.read_at < at - READ_KEPT
    )
    ids = session.scalars(select(Notification.id).where(is_old).limit(BATCH)).all()
    session.execute(delete(Notification).where(Notification.id.in_(ids)))
    return len(ids)
