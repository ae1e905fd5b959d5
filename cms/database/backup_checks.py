"""Checks of the backups: are there any, are they proven and young enough, can others reach them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from cms.checks.messages import Problem, error, info, warning
from cms.checks.registry import register
from cms.database.backup import find_folder_problem, list_backup_folders
from cms.database.engines import engine_for
from cms.database.errors import CopyFailed, ToolMissing
from cms.database.keys import has_key
from cms.database.offsite import Place
from cms.database.shelf import list_backups
from cms.database.target import Target

if TYPE_CHECKING:
    from config import Config

# The oldest minor release of each major without a known way for a crafted archive to run code in pg_restore
# (CVE-2026-116314); minor releases of all majors come out together. pg_dump could be attacked by a server before
# (CVE-2026-6477). Later majors never had either.
SAFE_FROM = {15: 20, 16: 16, 17: 12, 18: 6}
TAKE_ONE = "run `python manage.py backup`, and let a timer do it every day"


@register("backups", deploy=True)
def check_backups_proven(target: Target, config: Config) -> list[Problem]:
    """backups.W001: there is no proven backup. backups.W002: the newest proven one is older than BACKUP_MAX_AGE_H."""
    if not is_readable(target):
        return []  # backups.E007 says why
    proven = [entry for entry in list_backups(target).backups if entry.proven_at]
    if not proven:
        return [warning("backups.W001", f"there is no proven backup in {target.backup_dir}", hint=TAKE_ONE)]
    created_at = datetime.fromisoformat(proven[-1].created_at)
    if datetime.now(UTC) - created_at <= timedelta(hours=config.BACKUP_MAX_AGE_H):
        return []
    what = f"the newest proven backup is of {proven[-1].created_at}, more than {config.BACKUP_MAX_AGE_H} hours ago"
    return [warning("backups.W002", what, hint=TAKE_ONE)]


@register("backups")
def check_backups_trusted(target: Target) -> list[Problem]:
    """backups.E003: a backup's manifest is damaged, changed, or signed by another key."""
    if not is_readable(target):
        return []
    bad = [entry for entry in list_backups(target).backups if entry.problem]
    cure = "look at it; move it away if it is another site's, and restore from another one"
    return [
        error("backups.E003", f"the backup {entry.id} cannot be trusted: {entry.problem}", hint=cure) for entry in bad
    ]


@register("backups")
def check_backup_folder(target: Target) -> list[Problem]:
    """backups.E004: others may write into the folder for backups, or this user may not."""
    problem = find_folder_problem(target.backup_dir)
    cure = f"chmod 700 {target.backup_dir}, or set BACKUP_DIR to a folder of your own"
    return [error("backups.E004", f"{target.backup_dir}: {problem}", hint=cure)] if problem else []


@register("backups")
def check_client_tools(target: Target, connection: sa.Connection) -> list[Problem]:
    """backups.E005: no pg_dump or pg_restore fits the server."""
    try:
        engine_for(target).find_tools(target, connection)
    except ToolMissing as missing:
        return [error("backups.E005", f"{missing.what}: {missing.why}", hint=str(missing.hint))]
    return []


@register("backups", deploy=True)
def check_client_defects(target: Target, connection: sa.Connection) -> list[Problem]:
    """backups.W009: pg_dump or pg_restore is of a release with a defect that somebody else's server or dump can use."""
    try:
        tools = engine_for(target).find_tools(target, connection)
    except ToolMissing:
        return []  # backups.E005 says so
    old = [tool for tool in tools if tool.minor < SAFE_FROM.get(tool.major, 0)]
    if not old:
        return []
    found = " and ".join(f"{tool.path} ({tool.version})" for tool in old)
    cure = f"update the PostgreSQL client programs to {old[0].major}.{SAFE_FROM[old[0].major]} or newer"
    return [warning("backups.W009", f"client programs with a known dangerous defect: {found}", hint=cure)]


@register("backups", deploy=True)
def check_served_folders(target: Target, config: Config) -> list[Problem]:
    """backups.E010: backups lie where the site gives files to everybody."""
    folder = target.backup_dir.resolve()
    if not folder.is_relative_to(config.MEDIA_DIR) and "static" not in folder.parts:
        return []
    return [
        error("backups.E010", f"{folder} is inside a folder that is served", hint="set BACKUP_DIR to another place")
    ]


@register("backups", deploy=True)
def check_other_disk(target: Target, config: Config) -> list[Problem]:
    """backups.I006: backups lie on the same disk as what they are backups of."""
    beside = (
        [config.MEDIA_DIR, Path(str(target.url.database))] if target.engine_name == "sqlite" else [config.MEDIA_DIR]
    )
    shared = [path for path in beside if path.exists() and target.backup_dir.exists()
              and path.stat().st_dev == target.backup_dir.stat().st_dev]  # fmt: skip
    if not shared:
        return []
    cure = "set BACKUP_DIR to another disk, or copy the backups away: one broken disk must not take both"
    return [info("backups.I006", f"{target.backup_dir} is on the same disk as {shared[0]}", hint=cure)]


@register("backups", deploy=True)
def check_copies(target: Target) -> list[Problem]:
    """backups.W008: the newest proven backup has no copy at BACKUP_COPY_URL, or that place does not answer."""
    if not target.copy_url or not is_readable(target):
        return []
    proven = [entry for entry in list_backups(target).backups if entry.proven_at]
    try:
        there = Place(target.copy_url).list_ids()
    except CopyFailed as failed:
        return [warning("backups.W008", f"{failed.what}: {failed.why}", hint=str(failed.hint))]
    if not proven or proven[-1].id in there:
        return []
    what = f"the newest proven backup {proven[-1].id} has no copy at {target.copy_url}"
    return [warning("backups.W008", what, hint="run `python manage.py copy-backups`")]


@register("backups")
def check_backup_key(target: Target) -> list[Problem]:
    """backups.E007: there are backups, and the key that signed them is gone."""
    if is_readable(target):
        return []
    cure = "bring the key back, or set BACKUP_KEY_FILE to it: without it no backup can be verified or restored"
    return [error("backups.E007", f"there is no key for the backups in {target.backup_dir}", hint=cure)]


def is_readable(target: Target) -> bool:
    """Return whether there is a key, or no backup that would need one."""
    return has_key(target) or not list_backup_folders(target.backup_dir)
