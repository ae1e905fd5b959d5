"""Taking backups and restoring them, as most tests do it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cms.database.backup import apply_backup, plan_backup
from cms.database.restore import apply_restore, plan_restore
from tests.database.rows import quiet

if TYPE_CHECKING:
    from pathlib import Path

    from cms.database.backup import BackupResult
    from cms.database.restore import RestoreResult
    from cms.database.target import Target


def take_backup(target: Target, *, proof: bool = True) -> BackupResult:
    return apply_backup(target, plan_backup(target, proof=proof), why="a test", say=quiet)


def restore(target: Target, folder: Path, *, replace_it: bool = False, in_place: bool = False) -> RestoreResult:
    """Restore a backup of any database into this one."""
    plan = plan_restore(target, folder, replacing=replace_it, into=target.database_name, in_place=in_place)
    return apply_restore(target, plan, say=quiet)
