"""The page on which people give themselves a picture: cut to a square, without what a camera wrote into it."""

from __future__ import annotations

from flask import Blueprint, current_app, redirect, request
from werkzeug.wrappers import Response

from cms.accounts.current import get_current, needs, now
from cms.accounts.errors import whole_sentence
from cms.accounts.own_account import change_picture, find_picture_of
from cms.accounts.private_pages import show_private
from cms.extensions import db, transaction
from cms.media.errors import PictureRefused
from cms.media.pictures import cut_square
from cms.media.store import save_picture

own_picture = Blueprint("own_picture", __name__, url_prefix="/account/picture", template_folder="templates")


@own_picture.get("")
@needs("account.see")
def show_own() -> Response:
    return show_form()


@own_picture.post("")
@needs("account.change")
def do_change() -> Response:
    """Store the picture that was sent; the one before stays in the store, where a backup may know it."""
    file = request.files.get("picture")
    try:
        stored = save_picture(current_app.config["MEDIA_DIR"], cut_square(file.read() if file else b""))
    except PictureRefused as refused:
        return show_form(status=422, problem=whole_sentence(refused))
    return store(stored.url)


@own_picture.post("/remove")
@needs("account.change")
def do_remove() -> Response:
    return store(None)


def store(url: str | None) -> Response:
    person = get_current()
    with transaction() as session:
        change_picture(session, person.id, url, by=person.actor, at=now())
    return redirect("/account/picture?done=stored", 303)


def show_form(*, status: int = 200, problem: str | None = None) -> Response:
    url, done = find_picture_of(db.session, get_current().id), request.args.get("done")
    return show_private("media/own_picture.html", status=status, url=url, problem=problem, done=done)
