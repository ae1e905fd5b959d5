"""Checks of the search index: it can be behind the posts, or of another language than the site."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from cms.blogs.indexing import count_missing, read_language
from cms.blogs.search import language_of
from cms.checks.messages import Problem, warning
from cms.checks.registry import register
from cms.words import counted

if TYPE_CHECKING:
    from config import Config

CURE = "run `python manage.py reindex-search`; the site goes on meanwhile"


@register("search")
def check_index_is_complete(connection: sa.Connection) -> list[Problem]:
    """search.W001: published posts are missing from the search index."""
    if not has_index(connection) or not (missing := count_missing(connection)):
        return []
    return [warning("search.W001", f"the search does not find {counted(missing, 'published post')}", hint=CURE)]


@register("search", only="postgresql")
def check_index_language(config: Config, connection: sa.Connection) -> list[Problem]:
    """search.W002: the search index is of another language than SITE_LANGUAGE."""
    if not has_index(connection):
        return []
    language = read_language(connection)
    if language == (wanted := language_of(config.SITE_LANGUAGE)):
        return []
    return [warning("search.W002", f"the search index is {language}, and SITE_LANGUAGE is {wanted}", hint=CURE)]


def has_index(connection: sa.Connection) -> bool:
    return sa.inspect(connection).has_table("blog_search")
