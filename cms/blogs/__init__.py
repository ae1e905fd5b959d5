"""Posts: their text, how it is rendered, and the pages that show it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask


def init_app(app: Flask) -> None:
    """Register the pages, and with them the tables."""
    from cms.accounts.my_data import add_to_my_data  # noqa: PLC0415
    from cms.web.errors import ask_before_404  # noqa: PLC0415

    from . import (  # noqa: PLC0415
        addresses,
        archive_views,
        feed_views,
        handing_over,
        search_misses,
        search_views,
        sitemap_views,
        views,
    )
    from . import notices as _notices  # noqa: F401, PLC0415 - declares what people can be told

    app.register_blueprint(views.blogs)
    app.register_blueprint(feed_views.feeds)
    app.register_blueprint(sitemap_views.sitemaps)
    app.register_blueprint(search_views.search)
    app.register_blueprint(archive_views.archive)
    app.extensions[search_views.MISSES] = search_misses.MissCounter()
    app.jinja_env.globals.update(post_path=addresses.post_path, tag_path=addresses.tag_path)
    app.jinja_env.globals.update(author_path=addresses.author_path)
    add_to_my_data(app, "posts", handing_over.iterate_posts_of)
    ask_before_404(app, views.find_moved_post)
