"""manage.py import-markdown."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cms.management.base import Progress, command

if TYPE_CHECKING:
    from flask import Flask

    from cms.exchange.report import ImportReport


@command
@click.argument("folder", metavar="FOLDER|ZIP", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--assets",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder that addresses like /assets/… lead to [default: FOLDER/assets, else FOLDER/../assets].",
)
@click.option("--name", help="Name of this folder, if you import several: files are known by name and path.")
@click.option("--author", default="imported", show_default=True, help="Author of posts that name none.")
@click.option("--overwrite", is_flag=True, help="Replace posts that were edited here since their import, too.")
def import_markdown(
    app: Flask,
    *,
    folder: Path,
    assets: Path | None,
    name: str | None,
    author: str,
    overwrite: bool,
    dry_run: bool,
    progress: Progress,
) -> ImportReport:
    """Import a folder of Markdown files, or a zip of them; a second run changes nothing.

    Reads YAML (---) and TOML (+++) front matter. Every file is accounted for; the exit code is 3 if one was skipped
    for an error, which stops no other. Old addresses (aliases, redirect_from, permalink, /2016/01/04/name/) lead to
    the new ones. A file that changed updates its post; the post of a file that is gone stays.
    """
    from contextlib import nullcontext
    from dataclasses import replace
    from datetime import UTC, datetime

    from cms.activity.services import Subject, record
    from cms.exchange.archives import unpacked
    from cms.exchange.import_request import ImportRequest
    from cms.exchange.markdown_import import import_folder
    from cms.extensions import transaction
    from cms.management.operators import operator

    at = datetime.now(UTC)
    with unpacked(folder) if folder.is_file() else nullcontext(folder) as files:
        request = ImportRequest(
            folder=files,
            media_dir=app.config["MEDIA_DIR"],
            assets=assets,
            name=name,
            default_author=author,
            overwrite=overwrite,
            dry_run=dry_run,
        )
        report = import_folder(request, at=at, watch=lambda batches: progress.bar(batches, "Importing", len(batches)))
    report = replace(report, folder=str(folder.resolve()))
    if not dry_run and {"imported", "changed"} & report.counts.keys():
        with transaction() as session:
            about = Subject("folder", name or folder.name, report.folder)
            record(session, "posts.imported", actor=operator(), at=at, about=about, details=report.counts)
    return report
