"""People: who has an account, and what each may do."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, abort, redirect, request
from werkzeug.wrappers import Response

from cms.accounts.browsers import name_of_browser
from cms.accounts.current import get_current, needs, now
from cms.accounts.errors import AccountInvalid, LastAdmin, whole_sentence
from cms.accounts.people import (
    PeopleFilter,
    change_role,
    disable_account,
    enable_account,
    find_shown,
    list_people,
    list_roles,
    sign_out_everywhere,
)
from cms.accounts.sessions import list_sessions
from cms.activity.queries import ActivityFilter, list_activity
from cms.admin.frame import menu_entry, show_admin
from cms.extensions import db, transaction
from cms.web.paging import Place, place_of_request

PAGE_SIZE = 25
RECENT = 10
ENTRIES = (menu_entry("People", "/admin/people", "people.see", about="Who has an account, and what each may do"),)
CHANGES = {"disable": disable_account, "enable": enable_account, "sign-out": sign_out_everywhere}

pages = Blueprint("admin_people", __name__, url_prefix="/admin/people")


@pages.get("")
@needs("people.see")
def show_people() -> Response:
    which = PeopleFilter(request.args.get("q", "").strip(), request.args.get("role", ""))
    people = list_people(db.session, which, place_of_request(), size=PAGE_SIZE)
    return show_admin("admin/people.html", people=people, which=which, roles=list_roles(db.session))


@pages.get("/<uuid:user_id>")
@needs("people.see")
def show_person(user_id: UUID) -> Response:
    return show_somebody(user_id)


@pages.post("/<uuid:user_id>/role")
@needs("people.change")
def do_change_role(user_id: UUID) -> Response:
    _ = find_shown(db.session, user_id) or abort(404)
    try:
        with transaction() as session:
            change_role(session, user_id, request.form.get("role", ""), by=get_current().actor, at=now())
    except (AccountInvalid, LastAdmin) as refused:
        return show_somebody(user_id, whole_sentence(refused))
    return redirect(f"/admin/people/{user_id}?done=role", 303)


@pages.post("/<uuid:user_id>/<change>")
@needs("people.change")
def do_change(user_id: UUID, change: str) -> Response:
    apply = CHANGES.get(change) or abort(404)
    _ = find_shown(db.session, user_id) or abort(404)
    try:
        with transaction() as session:
            apply(session, user_id, by=get_current().actor, at=now())
    except LastAdmin as refused:
        return show_somebody(user_id, whole_sentence(refused))
    return redirect(f"/admin/people/{user_id}?done={change}", 303)


def show_somebody(user_id: UUID, problem: str | None = None) -> Response:
    """Show one account: its role, where it is signed in, and what it did last."""
    shown = find_shown(db.session, user_id) or abort(404)
    done_by = ActivityFilter(actor_id=user_id)
    return show_admin(
        "admin/person.html",
        status=422 if problem else 200,
        shown=shown,
        problem=problem,
        roles=list_roles(db.session),
        sessions=list_sessions(db.session, user_id, at=now()),
        name_of_browser=name_of_browser,
        recent=list_activity(db.session, done_by, Place(), size=RECENT).items,
        done=request.args.get("done"),
    )
