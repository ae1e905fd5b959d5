"""The table ``kept_answers``: what was answered to changes that a program may send again."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import ForeignKey, SmallInteger, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from cms.database.schema import Base, JsonColumn, UtcDateTime


class KeptAnswer(Base):
    """An answer, until ``ends_at``. key_hash: of the person and their key; request_hash: of all that was sent."""

    __tablename__ = "kept_answers"

    key_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.uuid", ondelete="CASCADE"), index=True)
    request_hash: Mapped[str] = mapped_column(String(64))
    status: Mapped[int] = mapped_column(SmallInteger, default=0, server_default=text("0"))
    headers: Mapped[dict[str, str]] = mapped_column(JsonColumn, default=dict, server_default=text("'{}'"))
    body: Mapped[str] = mapped_column(Text, default="", server_default=text("''"))
    ends_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
