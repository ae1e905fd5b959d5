"""The pages that readers see: home, a post, the posts of a tag, the posts of an author."""

from __future__ import annotations

from flask import Blueprint, abort, current_app, redirect, request
from markupsafe import Markup, escape
from werkzeug.exceptions import Gone
from werkzeug.wrappers import Response

from cms.accounts.queries import find_author
from cms.blogs.addresses import author_path, post_path, tag_path
from cms.blogs.beside import find_neighbours
from cms.blogs.contents import contents_of
from cms.blogs.errors import PostInvalid
from cms.blogs.queries import (
    PostSummary,
    PostText,
    find_moved,
    find_published_post,
    list_posts,
    list_posts_by_author,
    list_posts_with_tag,
)
from cms.blogs.redirects import redirect_path
from cms.blogs.rendering import render
from cms.blogs.structured import describe_blog, describe_post
from cms.extensions import db
from cms.web.errors import show_error
from cms.web.pages import show_page
from cms.web.paging import Page, Place, place_of_request

MOVED_KEPT = "public, max-age=3600"

blogs = Blueprint("blogs", __name__, template_folder="templates")


@blogs.get("/")
def show_home() -> Response:
    place = place_of_request()
    page = list_posts(db.session, place, size=page_size())
    structured = describe_blog(**about_site(), description=current_app.config["SITE_DESCRIPTION"])
    description = current_app.config["SITE_DESCRIPTION"] or f"The newest posts on {current_app.config['SITE_NAME']}"
    return show_list("blogs/home.html", page, place, path="/", structured=structured, description=description)


@blogs.get("/tag/<path:tag>/")
def show_tag(tag: str) -> Response:
    place = place_of_request()
    page = list_posts_with_tag(db.session, tag, place, size=page_size())
    return show_list("blogs/tag.html", page, place, path=tag_path(tag), tag=tag, description=f"Posts on {tag}")


@blogs.get("/author/<username>/")
def show_author(username: str) -> Response:
    """Show who wrote posts here. Who wrote none has no page: readers' accounts are nobody's business."""
    place = place_of_request()
    author = find_author(db.session, username) or abort(404)
    page = list_posts_by_author(db.session, author.uuid, place, size=page_size())
    description = author.bio or f"Posts by {author.display_name}"
    return show_list(
        "blogs/author.html", page, place, path=author_path(author.username), author=author, description=description
    )


# Without strict_slashes an old address such as /2014/hello.html would be sent on twice.
@blogs.get("/<slug>/", strict_slashes=False)
def show_post(slug: str) -> Response:
    post = find_published_post(db.session, slug) or abort(404)
    if not request.path.endswith("/"):
        return redirect(post_path(post.slug), 308)
    neighbours = find_neighbours(db.session, post)
    body = html_of(post)
    return show_page(
        "blogs/post.html",
        post=post,
        contents=contents_of(body, post.reading_time_minutes),
        body=Markup(body),  # noqa: S704 - sanitized when it was rendered
        show_cover=post.cover and not has_cover_in(body, post),
        neighbours=neighbours,
        structured=describe_post(post, body=body, **about_site()),
    )


def show_list(template: str, page: Page[PostSummary], place: Place, *, path: str, **values: object) -> Response:
    """Show a page of posts. The newest page has one address; a page without posts has none, except a new site's."""
    if place.after and not page.newer:
        return redirect(path)
    if not page.items and not (path == "/" and place.is_start):
        abort(404)
    return show_page(template, page=page, place=place, path=path, **values)


def about_site() -> dict[str, str]:
    """Return what every description of a page says about the site."""
    config = current_app.config
    return {"site": config["SITE_URL"], "name": config["SITE_NAME"], "language": config["SITE_LANGUAGE"]}


def html_of(post: PostText) -> str:
    """Return the stored HTML; a post stored by another edition of the renderer, or by none, is rendered now."""
    return post.html if post.html is not None else render(post.markdown or "").html


def has_cover_in(body: str, post: PostText) -> bool:
    return post.cover is not None and escape(post.cover) in body


def find_moved_post(path: str) -> Response | None:
    """Answer for an old address of a post, which has moved for good, and for one that was taken off the site."""
    try:
        moved = find_moved(db.session, redirect_path(path))
    except PostInvalid:
        return None
    if moved is None:
        return None
    if moved.is_withdrawn:
        return show_error(Gone())
    response = redirect(post_path(moved.slug), 301)
    response.headers["Cache-Control"] = MOVED_KEPT
    return response


def page_size() -> int:
    size: int = current_app.config["POSTS_PER_PAGE"]
    return size
