"""The pages on which people read what they were told, and choose how they are told."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, abort, redirect, request
from werkzeug.wrappers import Response

from cms.accounts.current import get_current, needs, now
from cms.accounts.private_pages import show_private
from cms.activity.notices import KINDS, list_notices, list_preferences, mark_read, set_preference
from cms.extensions import db, transaction
from cms.web.paging import place_of_request

PAGE_SIZE = 25

notices = Blueprint("notices", __name__, url_prefix="/account/notifications")


@notices.get("")
@needs("account.see")
def show_notices() -> Response:
    page = list_notices(db.session, get_current().id, place_of_request(), size=PAGE_SIZE)
    return show_private("accounts/notifications.html", notices=page, done=request.args.get("done"))


@notices.post("/read")
@needs("account.change")
def do_mark_read() -> Response:
    """Mark those whose ids were sent as read; without any, all. Somebody else's are not touched."""
    try:
        ids = [UUID(text) for text in request.form.getlist("id")]
    except ValueError:
        abort(400)
    with transaction() as session:
        mark_read(session, get_current().id, ids or None, at=now())
    return redirect("/account/notifications?done=read", 303)


@notices.get("/preferences")
@needs("account.see")
def show_preferences() -> Response:
    chosen = list_preferences(db.session, get_current().id)
    return show_private("accounts/preferences.html", chosen=chosen, done=request.args.get("done"))


@notices.post("/preferences")
@needs("account.change")
def do_choose() -> Response:
    """Store for each kind there is whether its box is ticked."""
    on_site, by_mail = set(request.form.getlist("on_site")), set(request.form.getlist("by_mail"))
    person = get_current()
    with transaction() as session:
        for name, kind in KINDS.items():
            set_preference(session, person.id, kind, on_site=name in on_site, by_mail=name in by_mail)
    return redirect("/account/notifications/preferences?done=stored", 303)
