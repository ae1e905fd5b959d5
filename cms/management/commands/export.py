"""The command `manage.py export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cms.management.base import Confirm, command

if TYPE_CHECKING:
    from flask import Flask

    from cms.exchange.markdown_export import ExportResult


@command
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def export(app: Flask, *, file: Path, confirm: Confirm) -> ExportResult:
    """Write every post as Markdown, with its pictures, into a zip that import-markdown reads."""
    from cms.exchange.markdown_export import export_markdown
    from cms.extensions import transaction

    if file.exists():
        confirm(f"{file} is there already. Replace it?")
    with transaction() as session:
        return export_markdown(session, file, media_dir=app.config["MEDIA_DIR"])
