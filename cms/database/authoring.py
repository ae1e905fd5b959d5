"""What `flask db revision` and `flask db migrate` do beyond Alembic: no empty files, and tidy ones."""

from __future__ import annotations

import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import write_hooks

from cms.database.authored_blocks import write_blocks


def name_apart(config: Config) -> Config:
    """Let a new file's name end with its revision's id where another file is of this minute already.

    With the same message it would have that one's name, and Alembic would write over it. Called by Flask-Migrate.
    """
    versions = Path(str(config.get_main_option("script_location"))) / "versions"
    if any(versions.glob(f"{datetime.now(UTC):%Y%m%d_%H%M}_*.py")):
        template = str(config.get_main_option("file_template")).replace("%", "%%")
        config.set_main_option("file_template", f"{template}_%%(rev)s")
    return config


def is_other_default(
    _context: object, _found: object, _column: object, found: str | None, _default: object, rendered: str | None
) -> bool | None:
    """Say that a default of '' is one of '': on SQLite Alembic takes it for another. None lets Alembic compare."""
    return False if found in {"''", "('')"} and rendered == "" else None


def write_revision(context: MigrationContext, _revision: object, directives: list[Any]) -> None:
    """Make no file when autogenerate finds no difference, and building blocks of what it finds; called by Alembic."""
    options = context.config.cmd_opts if context.config else None
    if not getattr(options, "autogenerate", False):
        return
    if directives[0].upgrade_ops.is_empty():
        directives[:] = []
        print("no difference between the models and the database; no file was made", file=sys.stderr)  # noqa: T201
        return
    write_blocks(directives)


@write_hooks.register("tidy_revision")
def tidy_revision(filename: str, _options: dict[str, Any]) -> None:
    """Format and check a new revision file with ruff; without ruff, say so and leave it as it is."""
    ruff = shutil.which("ruff", path=str(Path(sys.executable).parent)) or shutil.which("ruff")
    if ruff is None:
        print(f"ruff is not installed, so {filename} was not formatted; `./dev check` installs it", file=sys.stderr)  # noqa: T201
        return
    # An import that is not used yet stays: the author is about to write the operations that need it.
    for arguments in (["format", "--quiet"], ["check", "--quiet", "--fix", "--ignore", "F401"]):
        subprocess.run([ruff, *arguments, filename], check=False)
