"""What a check says."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad a problem is, mildest first; one at or above the fail level makes `check` exit with 3."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"

    @property
    def rank(self) -> int:
        return list(Level).index(self)


@dataclass(frozen=True)
class Problem:
    """One finding. id: "tag.W001", for ever the same; text: what is so; why: the cause, if known; hint: what to do."""

    id: str
    level: Level
    text: str
    hint: str
    why: str | None = None

    def __str__(self) -> str:
        why = f"\n  why:  {self.why}" if self.why else ""
        return f"{self.level}: {self.text} [{self.id}]{why}\n  hint: {self.hint}"


def error(identity: str, text: str, *, hint: str, why: str | None = None) -> Problem:
    return Problem(identity, Level.ERROR, text, hint, why)


def warning(identity: str, text: str, *, hint: str, why: str | None = None) -> Problem:
    return Problem(identity, Level.WARNING, text, hint, why)


def info(identity: str, text: str, *, hint: str, why: str | None = None) -> Problem:
    return Problem(identity, Level.INFO, text, hint, why)
