"""One fact about a schema: what kind of thing, of which table, called what, defined how."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Fact:
    """One thing in a catalog.

    kind: "table", "column", "constraint", "index" …; table: empty for what belongs to none; name: empty where the
    engine gives none that means anything; definition: as the catalog says it, in one spelling.
    """

    kind: str
    table: str
    name: str
    definition: str

    def __str__(self) -> str:
        return " ".join(part for part in (self.kind, self.place, self.definition) if part)

    @property
    def place(self) -> str:
        """Return where people find it: "users.bio" for a column, "ix_users_role on users" for what has a table."""
        if self.kind == "column":
            return f"{self.table}.{self.name}"
        return " on ".join(part for part in (self.name, self.table) if part)
