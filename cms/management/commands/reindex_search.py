"""manage.py reindex-search."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cms.management.base import Progress, command

if TYPE_CHECKING:
    from flask import Flask

    from cms.blogs.indexing import IndexReport


@command
def reindex_search(app: Flask, *, dry_run: bool, progress: Progress) -> IndexReport:
    """Put every published post into the search index anew.

    For adopted sites, after the upgrade that brings search, and after SITE_LANGUAGE changed. It can be stopped at any
    time. The site goes on meanwhile, and so does its search.
    """
    from cms.blogs.indexing import reindex
    from cms.blogs.search import language_of

    return reindex(
        language=language_of(app.config["SITE_LANGUAGE"]),
        dry_run=dry_run,
        watch=lambda batches, length: progress.bar(batches, "Indexing", length),
    )
