"""The errors that a person may see: what happened, why, what to do next, and the exit code. Imports nothing."""

from __future__ import annotations


class CmsError(RuntimeError):
    """An expected failure: shown as a message, never as a traceback.

    A RuntimeError because that is what ``flask db`` prints as one line instead of a traceback.

    what: one line, lower case, no full stop, real values, never a secret.
    why: the cause, as far as it is known.
    hint: the next command or edit; says what was not changed.
    """

    exit_code = 1

    def __init__(self, what: str, *, why: str | None = None, hint: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.hint = hint

    def __str__(self) -> str:
        lines = [self.what]
        if self.why:
            lines.append(f"  why:  {self.why}")
        if self.hint:
            lines.append(f"  hint: {self.hint}")
        return "\n".join(lines)


class ConfigurationError(CmsError):
    """A setting is missing or malformed."""


class Refused(CmsError):
    """The operation would do harm, or was not confirmed; nothing was changed."""

    exit_code = 4


class Busy(CmsError):
    """Another run holds the lock, or the database is in use; try again later."""

    exit_code = 5
