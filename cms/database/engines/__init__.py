"""One class per kind of database; the only callers of pg_dump, VACUUM INTO and locks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cms.database.engines.base import DatabaseEngine
    from cms.database.target import Target


def engine_for(target: Target) -> DatabaseEngine:
    """Return the engine of the target's kind; only that one is imported."""
    if target.engine_name == "postgresql":
        from cms.database.engines.postgresql import PostgreSQL  # noqa: PLC0415

        return PostgreSQL()
    from cms.database.engines.sqlite import SQLite  # noqa: PLC0415

    return SQLite()
