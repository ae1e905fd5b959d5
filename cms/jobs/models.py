"""The tables ``jobs``, the outbox of the site, and ``job_workers``, who works it off."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, String, Text, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from cms.database.schema import Base, JsonColumn, UtcDateTime

WAITING = "waiting"
QUEUED = "queued"
RUNNING = "running"
DONE = "done"
FAILED = "failed"
STATUSES = (WAITING, QUEUED, RUNNING, DONE, FAILED)


class JobWorker(Base):
    """A worker process that lives, as long as ``seen_at`` is fresh."""

    __tablename__ = "job_workers"

    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True, default=uuid.uuid4)
    host: Mapped[str] = mapped_column(String(255))
    pid: Mapped[int] = mapped_column(Integer)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Job(Base):
    """Something to do, at ``due_at`` or later. ``waiting`` → ``queued`` → ``running`` → ``done`` or ``failed``."""

    __tablename__ = "jobs"

    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True, default=uuid.uuid4)
    kind: Mapped[str] = mapped_column(String(100))
    # Emptied when the job is done: a mail's text may hold what is nobody else's business.
    arguments: Mapped[dict[str, Any]] = mapped_column(JsonColumn)
    status: Mapped[str] = mapped_column(String(20), default=WAITING, server_default=text(f"'{WAITING}'"))
    # As long as a job has a key, no other gets the same one.
    key: Mapped[str | None] = mapped_column(String(200), unique=True)
    attempts: Mapped[int] = mapped_column(Integer, default=0, server_default=text("0"))
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    worker_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("job_workers.id", ondelete="SET NULL"), index=True)
    progress: Mapped[dict[str, Any] | None] = mapped_column(JsonColumn)
    error: Mapped[str | None] = mapped_column(Text)
    request_id: Mapped[str | None] = mapped_column(String(64))

    __table_args__ = (
        CheckConstraint("status IN ('waiting', 'queued', 'running', 'done', 'failed')", name="status"),
        Index("ix_jobs_status_due", "status", "due_at"),
    )
