"""The addresses of feeds: the site's, a tag's and an author's, each as RSS, Atom and JSON Feed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from flask import Blueprint, abort, current_app
from werkzeug.wrappers import Response

from cms.blogs.addresses import author_path, tag_path
from cms.blogs.queries import PostText, list_newest_texts
from cms.blogs.views import has_cover_in, html_of
from cms.extensions import db
from cms.web.pages import show_text

if TYPE_CHECKING:
    from cms.blogs.feeds import Entry

POSTS = 20
FORMS = ("feed.xml", "atom.xml", "feed.json")

View = TypeVar("View", bound=Callable[..., Response])

feeds = Blueprint("feeds", __name__)


def in_each_form(folder: str) -> Callable[[View], View]:
    """Give the view an address for each form. A variable part would lose against that of a post's address."""

    def register(view: View) -> View:
        for form in FORMS:
            feeds.add_url_rule(folder + form, view.__name__, view, defaults={"form": form})
        return view

    return register


@in_each_form("/")
def show_feed(form: str) -> Response:
    """Show the newest posts of everybody; a site without posts has a feed all the same, to subscribe to."""
    posts = list_newest_texts(db.session, tag=None, author=None, size=POSTS)
    return show_form(form, posts, title=current_app.config["SITE_NAME"], page="/")


@in_each_form("/tag/<path:tag>/")
def show_feed_of_tag(form: str, tag: str) -> Response:
    posts = list_newest_texts(db.session, tag=tag, author=None, size=POSTS) or abort(404)
    return show_form(form, posts, title=f"{tag} – {current_app.config['SITE_NAME']}", page=tag_path(tag))


@in_each_form("/author/<username>/")
def show_feed_of_author(form: str, username: str) -> Response:
    posts = list_newest_texts(db.session, tag=None, author=username, size=POSTS) or abort(404)
    title = f"{posts[0].author_name} – {current_app.config['SITE_NAME']}"
    return show_form(form, posts, title=title, page=author_path(username))


def show_form(form: str, posts: list[PostText], *, title: str, page: str) -> Response:
    from cms.blogs.feeds import WRITERS, Feed  # noqa: PLC0415 - brings feedgenerator, which no page needs

    config = current_app.config
    feed = Feed(
        title=title,
        description=config["SITE_DESCRIPTION"],
        language=config["SITE_LANGUAGE"],
        site=config["SITE_URL"],
        page=page,
        address=page + form,
        entries=[as_entry(post) for post in posts],
    )
    mimetype, write = WRITERS[form]
    return show_text(write(feed), mimetype, modified=feed.changed_at if posts else None)


def as_entry(post: PostText) -> Entry:
    from cms.blogs.feeds import Entry  # noqa: PLC0415 - same

    body = html_of(post)
    return Entry(
        id=post.id.urn,
        slug=post.slug,
        title=post.title,
        summary=post.summary,
        body=body,
        cover=post.cover,
        has_cover_in_body=has_cover_in(body, post),
        tags=post.tags,
        author_username=post.author_username,
        author_name=post.author_name,
        created_at=post.created_at,
        changed_at=max(post.created_at, post.updated_at or post.created_at),
    )
