"""The search page."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Blueprint, abort, current_app, request
from werkzeug.wrappers import Response

from cms.blogs.search import RANKED, find_posts, language_of, list_hits, words_of
from cms.blogs.search_misses import MissCounter, store_misses
from cms.extensions import db
from cms.web.pages import show_page

TYPED_LIMIT = 200
MISSES = "cms.blogs.misses"

search = Blueprint("search", __name__)


@search.get("/search")
def show_search() -> Response:
    """Show a box, and what was found; search engines are told to leave out what others searched for."""
    typed = (one_argument("q") or "").strip()[:TYPED_LIMIT]
    number = page_number()
    words = words_of(typed)
    found = find_posts(db.session, words, language=language_of(current_app.config["SITE_LANGUAGE"]))
    size = current_app.config["POSTS_PER_PAGE"]
    ids = found[(number - 1) * size : number * size]
    if number > 1 and not ids:
        abort(404)
    hits = list_hits(db.session, ids, words) if ids else []
    if words and not found:
        count_miss(words)
    return show_page(
        "blogs/search.html",
        typed=typed,
        has_words=bool(words),
        hits=hits,
        count=len(found),
        is_cut=len(found) >= RANKED,
        number=number,
        has_more=number * size < len(found),
    )


def one_argument(name: str) -> str | None:
    """Return what the address gives for the name, None if nothing; 400 if it gives two."""
    given = request.args.getlist(name)
    return abort(400) if len(given) > 1 else next(iter(given), None)


def page_number() -> int:
    text = one_argument("page")
    if text is None:
        return 1
    return int(text) if text.isascii() and text.isdecimal() and 1 <= int(text[:4]) <= RANKED else abort(400)


def count_miss(words: tuple[str, ...]) -> None:
    counter: MissCounter = current_app.extensions[MISSES]
    if due := counter.count(words):
        store_misses(due, at=datetime.now(UTC))
