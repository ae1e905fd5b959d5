"""What can go wrong with a database, by kind."""

from __future__ import annotations

from cms.errors import Busy, CmsError, Refused


class DatabaseUnreachable(CmsError):
    """No connection could be made; nothing was changed."""


class DatabaseUnsupported(CmsError):
    """The server or file is of a kind or version that this CMS cannot work on."""


class HistoryBroken(CmsError):
    """The files in migrations/versions do not form one line of history."""


class RevisionUnknown(CmsError):
    """The database names a revision that no file in migrations/versions has."""


class SchemaUnknown(CmsError):
    """What a schema is to be compared with is neither a revision nor a file with a fingerprint."""


class MigrationFailed(CmsError):
    """A revision failed, or success could not be read back; the message says which state the database is in."""


class RebuildForgets(MigrationFailed):
    """SQLite's rebuild of a table loses what it cannot be told to keep, and the revision does not say so."""


class IrreversibleMigration(CmsError):
    """A downgrade would lose data that the older schema cannot hold; it was rolled back."""


class BackupFailed(CmsError):
    """A backup could not be written; nothing stands under a final name."""


class CopyFailed(CmsError):
    """Backups could not be copied to, or read from, the other place; those that are here are as they were."""


class MoveFailed(CmsError):
    """The site could not be moved to another kind of database, which is as empty as it was."""


class MoveRefused(Refused):
    """The other database is not empty, or cannot hold what is here; nothing was changed."""


class BackupDamaged(CmsError):
    """A backup is not what its manifest says; nothing was restored from it."""


class RestoreFailed(CmsError):
    """A restore did not happen; the message says what the database holds."""


class RestoreRefused(Refused):
    """A restore would overwrite data, or its backup belongs elsewhere; nothing was changed."""


class StampRefused(Refused):
    """The schema is not exactly that of a revision; nothing was stamped."""


class DowngradeRefused(Refused):
    """A downgrade goes the wrong way, or would lose more than was agreed to; nothing was changed."""


class ToolMissing(CmsError):
    """A client program that fits the server's version was not found; nothing was touched."""


class DatabaseBusy(Busy):
    """Another run or session holds what this one needs; nothing was changed."""
