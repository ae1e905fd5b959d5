"""The tables ``activity_logs``, ``notifications`` and ``notification_preferences``."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, ForeignKey, Index, String, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from cms.database.schema import Base, JsonColumn, UtcDateTime


class ActivityLog(Base):
    """One thing that somebody did. It stays when the person goes, and names them by what they were called then."""

    __tablename__ = "activity_logs"

    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True, default=uuid.uuid4)
    happened_at: Mapped[datetime] = mapped_column(UtcDateTime)
    actor_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("users.uuid", ondelete="SET NULL"))
    actor_name: Mapped[str] = mapped_column(String(255))
    action: Mapped[str] = mapped_column(String(60))
    # What it was done to may be gone long since, so it is named, not referred to.
    object_type: Mapped[str | None] = mapped_column(String(40))
    object_id: Mapped[str | None] = mapped_column(String(100))
    object_name: Mapped[str | None] = mapped_column(String(300))
    request_id: Mapped[str | None] = mapped_column(String(64))
    details: Mapped[dict[str, Any]] = mapped_column(JsonColumn, default=dict, server_default=text("'{}'"))

    __table_args__ = (
        Index("ix_activity_logs_happened", "happened_at", "id"),
        Index("ix_activity_logs_actor", "actor_id", "happened_at"),
        Index("ix_activity_logs_action", "action", "happened_at"),
        Index("ix_activity_logs_object", "object_type", "object_id", "happened_at"),
    )


class Notification(Base):
    """Something that one person is told on the site."""

    __tablename__ = "notifications"

    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True, default=uuid.uuid4)
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.uuid", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(60))
    text: Mapped[str] = mapped_column(String(500))
    # Where it leads to, inside the site: "/a-post/".
    path: Mapped[str | None] = mapped_column(String(500))
    # Nobody is told the same thing twice.
    key: Mapped[str | None] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    read_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (
        Index("ix_notifications_user_created", "user_id", "created_at", "id"),
        Index("ix_notifications_user_key", "user_id", "key", unique=True),
        Index("ix_notifications_created", "created_at"),
    )


class NotificationPreference(Base):
    """How one person wants to be told things of one kind; without a row it is as the kind says."""

    __tablename__ = "notification_preferences"

    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.uuid", ondelete="CASCADE"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(60), primary_key=True)
    on_site: Mapped[bool] = mapped_column(Boolean)
    by_mail: Mapped[bool] = mapped_column(Boolean)
