"""manage.py render-posts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cms.management.base import Progress, command

if TYPE_CHECKING:
    from flask import Flask

    from cms.blogs.rerendering import RenderReport


@command
def render_posts(app: Flask, *, dry_run: bool, progress: Progress) -> RenderReport:
    """Store the HTML of posts that have none, or that of another edition of the renderer.

    For adopted sites and after upgrades that change how Markdown is shown. It can be stopped at any time; the next run
    does the rest. Pages work meanwhile: they render such posts at each view.
    """
    from cms.blogs.rerendering import render_stored_posts

    del app  # its context is what is needed
    return render_stored_posts(
        dry_run=dry_run, watch=lambda batches, length: progress.bar(batches, "Rendering", length)
    )
