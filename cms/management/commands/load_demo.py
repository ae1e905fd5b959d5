"""manage.py load-demo."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cms.errors import Refused
from cms.management.base import Progress, command

if TYPE_CHECKING:
    from flask import Flask

    from cms.exchange.demo.loading import DemoReport


@command
@click.option("--if-empty", is_flag=True, help="Do nothing if the site has a post already.")
def load_demo(app: Flask, *, if_empty: bool, progress: Progress) -> DemoReport:
    """Load twelve posts with pictures, to see what the site looks like; refused in production."""
    if app.config["CMS_ENV"] == "production":
        raise Refused(
            "the demo content is not for a site in production",
            why="CMS_ENV is production",
            hint="load it where CMS_ENV is development; nothing was changed",
        )
    from datetime import UTC, datetime

    from cms.exchange.demo.loading import load_demo_content

    return load_demo_content(app.config["MEDIA_DIR"], at=datetime.now(UTC), if_empty=if_empty, tell=progress)
