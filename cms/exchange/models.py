"""The table ``imported_files``: which file became which post."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from cms.database.schema import Base, JsonColumn, UtcDateTime


class ImportedFile(Base):
    """One imported file, known by its path inside the imported folder."""

    __tablename__ = "imported_files"

    source: Mapped[str] = mapped_column(String(500), primary_key=True)
    blog_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("blogs.id", ondelete="CASCADE"), index=True)
    sha256: Mapped[str] = mapped_column(String(64))
    # Everything the file said in its front matter, also what the site has no place for (further authors, own keys).
    front_matter: Mapped[dict[str, Any]] = mapped_column(JsonColumn)
    imported_at: Mapped[datetime] = mapped_column(UtcDateTime)
