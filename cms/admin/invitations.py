"""Invitations: who may make an account, and with which role."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, abort, current_app, redirect, request
from werkzeug.wrappers import Response

from cms.accounts.current import get_current, needs, now
from cms.accounts.errors import AccountExists, AccountInvalid, whole_sentence
from cms.accounts.invitations import invite, list_invitations, revoke_invitation, send_again
from cms.accounts.people import list_roles
from cms.accounts.permissions import USER
from cms.admin.frame import menu_entry, show_admin
from cms.extensions import db, transaction
from cms.mail.errors import MailInvalid
from cms.web.paging import place_of_request

PAGE_SIZE = 25
ENTRIES = (menu_entry("Invitations", "/admin/invitations", "people.see", about="Who may make an account, by a mail"),)

pages = Blueprint("admin_invitations", __name__, url_prefix="/admin/invitations")


@pages.get("")
@needs("people.see")
def show_invitations() -> Response:
    return show_list()


@pages.post("")
@needs("people.change")
def do_invite() -> Response:
    email, role = request.form.get("email", "").strip(), request.form.get("role", "")
    try:
        with transaction() as session:
            invite(session, email, role, by=get_current().actor, site_url=current_app.config["SITE_URL"], at=now())
    except (AccountInvalid, AccountExists, MailInvalid) as refused:
        return show_list(status=422, email=email, role=role, problem=whole_sentence(refused))
    return redirect("/admin/invitations?done=sent", 303)


@pages.post("/<uuid:invitation_id>/send")
@needs("people.change")
def do_send_again(invitation_id: UUID) -> Response:
    by, site_url = get_current().actor, current_app.config["SITE_URL"]
    with transaction() as session:
        is_sent = send_again(session, invitation_id, by=by, site_url=site_url, at=now())
    return redirect("/admin/invitations?done=sent", 303) if is_sent else abort(404)


@pages.post("/<uuid:invitation_id>/revoke")
@needs("people.change")
def do_revoke(invitation_id: UUID) -> Response:
    with transaction() as session:
        is_revoked = revoke_invitation(session, invitation_id, by=get_current().actor, at=now())
    return redirect("/admin/invitations?done=revoked", 303) if is_revoked else abort(404)


def show_list(*, status: int = 200, email: str = "", role: str = USER, problem: str | None = None) -> Response:
    return show_admin(
        "admin/invitations.html",
        status=status,
        invitations=list_invitations(db.session, place_of_request(), size=PAGE_SIZE),
        roles=list_roles(db.session),
        email=email,
        role=role,
        problem=problem,
        done=request.args.get("done"),
        now=now(),
    )
