"""Going: an account is deleted by its owner or by an admin, and its posts go to somebody else in the same transaction.

What the activity log says of the person stays, by the name they had.
"""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, Response, abort, current_app, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from cms.accounts.current import SESSION, delete_cookie, get_current, needs, now
from cms.accounts.errors import AccountInvalid, LastAdmin, whole_sentence
from cms.accounts.my_data import parts_of_my_data, write_my_data
from cms.accounts.people import delete_account, find_shown, lock_user
from cms.accounts.private_pages import show_private
from cms.accounts.queries import find_user
from cms.activity.services import Actor
from cms.admin.frame import show_admin
from cms.blogs.handing_over import count_posts, hand_over_posts
from cms.extensions import db, transaction
from cms.jobs.services import AnySession
from cms.web.downloads import send_as_read

pages = Blueprint("leaving", __name__)
ENTRIES = ()


def delete_and_hand_over(session: AnySession, user_id: UUID, heir: str, *, by: Actor) -> None:
    """Give somebody's posts to another and delete the account.

    heir: a username; may be empty for whoever has no posts. Raises AccountInvalid, LastAdmin.
    """
    lock_user(session, user_id, to_delete=True)
    if count_posts(session, user_id):
        user = find_user(session, heir)
        if user is None or user.uuid == user_id:
            raise AccountInvalid("the account stays", why="there is nobody else of that name for its posts to go to")
        hand_over_posts(session, user_id, to=user.uuid, by=by, at=now())
    delete_account(session, user_id, by=by, at=now())


# --- one's own ----------------------------------------------------------------------------------------------------


@pages.get("/account/data")
@needs("account.see_security")
def show_my_data() -> AnyResponse:
    return show_my_page()


@pages.get("/account/data.json")
@needs("account.see_security")
def export_my_data() -> Response:
    """Send all that the site keeps about whoever asks."""
    parts, user_id = parts_of_my_data(), get_current().id
    return send_as_read(
        lambda session: write_my_data(session, parts, user_id), mimetype="application/json", filename="my-data.json"
    )


@pages.post("/account/delete")
@needs("account.secure")
def do_delete_mine() -> AnyResponse:
    person = get_current()
    if request.form.get("username", "") != person.username:
        return show_my_page(status=422, problem="That is not your username, so nothing was deleted.")
    try:
        with transaction() as session:
            delete_and_hand_over(session, person.id, current_app.config["POSTS_GO_TO"], by=person.actor)
    except AccountInvalid:
        return show_my_page(status=422, problem="An administrator has to say first whom your posts go to.")
    except LastAdmin as refused:
        return show_my_page(status=422, problem=whole_sentence(refused))
    response = redirect("/", 303)
    delete_cookie(response, SESSION)
    return response


def show_my_page(*, status: int = 200, problem: str | None = None) -> AnyResponse:
    posts, heir = count_posts(db.session, get_current().id), current_app.config["POSTS_GO_TO"]
    return show_private("admin/my_data.html", status=status, posts=posts, heir=heir, problem=problem)


# --- somebody else's ----------------------------------------------------------------------------------------------


@pages.get("/admin/people/<uuid:user_id>/delete")
@needs("people.see")
def show_delete(user_id: UUID) -> AnyResponse:
    return show_delete_form(user_id)


@pages.post("/admin/people/<uuid:user_id>/delete")
@needs("people.change")
def do_delete(user_id: UUID) -> AnyResponse:
    _ = find_shown(db.session, user_id) or abort(404)
    heir = request.form.get("heir", "").strip()
    try:
        with transaction() as session:
            delete_and_hand_over(session, user_id, heir, by=get_current().actor)
    except (AccountInvalid, LastAdmin) as refused:
        return show_delete_form(user_id, status=422, heir=heir, problem=whole_sentence(refused))
    return redirect("/admin/people?done=deleted", 303)


def show_delete_form(
    user_id: UUID, *, status: int = 200, heir: str | None = None, problem: str | None = None
) -> AnyResponse:
    shown = find_shown(db.session, user_id) or abort(404)
    heir = current_app.config["POSTS_GO_TO"] or get_current().username if heir is None else heir
    posts = count_posts(db.session, user_id)
    return show_admin("admin/delete.html", status=status, shown=shown, posts=posts, heir=heir, problem=problem)
