"""The pages of one's own account: profile, password, and where one is signed in."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, abort, current_app, redirect, request
from werkzeug.wrappers import Response

from cms.accounts.browsers import name_of_browser
from cms.accounts.connections import find_place
from cms.accounts.current import address_of_request, count_or_refuse, get_current, lacks_second_factor, needs, now
from cms.accounts.errors import AccountInvalid, sentence
from cms.accounts.forms import PasswordForm, ProfileForm
from cms.accounts.own_account import Profile, change_password, change_profile, read_profile
from cms.accounts.passkeys import list_passkeys
from cms.accounts.private_pages import show_private
from cms.accounts.providers import list_providers
from cms.accounts.second_factor import read_protection
from cms.accounts.sessions import end_session, end_sessions, list_sessions
from cms.accounts.sign_in import GUESSES, GUESSES_AT_ACCOUNT, check_password
from cms.accounts.tokens import list_tokens
from cms.extensions import db, transaction

account = Blueprint("account", __name__, url_prefix="/account")


@account.get("/")
@needs("account.see")
def show_profile() -> Response:
    return show_profile_form(ProfileForm(data=vars(read_profile(db.session, get_current().id))))


@account.post("/")
@needs("account.change")
def do_change_profile() -> Response:
    person, form = get_current(), ProfileForm(request.form)
    if not form.validate():
        return show_profile_form(form, status=422)
    try:
        with transaction() as session:
            change_profile(session, person.id, Profile(**form.data), by=person.actor, at=now())
    except AccountInvalid as refused:
        return show_profile_form(form, status=422, problem=refused)
    return redirect("/account/?done=profile", 303)


def show_profile_form(form: ProfileForm, *, status: int = 200, problem: AccountInvalid | None = None) -> Response:
    return show_private("accounts/profile.html", status=status, form=form, problem=problem, done="done" in request.args)


@account.get("/security")
@needs("account.see_security")
def show_security() -> Response:
    return show_security_form(PasswordForm())


@account.post("/password")
@needs("account.change")
def do_change_password() -> Response:
    """Take the present password and a new one; every other session ends."""
    person, form = get_current(), PasswordForm(request.form)
    whom = f"{person.username} {address_of_request()}"
    count_or_refuse((GUESSES, whom), (GUESSES_AT_ACCOUNT, person.username))
    if not form.validate():
        return show_security_form(form, status=422)
    proven = check_password(db.session, person.username, form.present.data or "")
    if proven is None or proven.user_id != person.id:
        form.present.errors = ["That is not your password."]
        return show_security_form(form, status=422)
    try:
        with transaction() as session:
            new = form.new.data or ""
            change_password(session, person.id, new, but=person.session_id, by=person.actor, at=now())
    except AccountInvalid as refused:
        form.new.errors = [sentence(refused)]
        return show_security_form(form, status=422)
    return redirect("/account/security?done=password", 303)


@account.post("/sessions/<uuid:session_id>/end")
@needs("account.change")
def do_end_session(session_id: UUID) -> Response:
    """Sign out elsewhere. Somebody else's session is not there, as far as this page knows."""
    with transaction() as session:
        is_ended = end_session(session, get_current().id, session_id)
    return redirect("/account/security?done=session", 303) if is_ended else abort(404)


@account.post("/sessions/end-others")
@needs("account.change")
def do_end_others() -> Response:
    person = get_current()
    with transaction() as session:
        end_sessions(session, person.id, but=person.session_id)
    return redirect("/account/security?done=session", 303)


def show_security_form(form: PasswordForm, *, status: int = 200) -> Response:
    person, providers = get_current(), list_providers(current_app.config)
    place = find_place(db.session, person.id)
    return show_private(
        "accounts/security.html",
        status=status,
        form=form,
        sessions=list_sessions(db.session, person.id, at=now()),
        name_of_browser=name_of_browser,
        protection=read_protection(db.session, person.id),
        passkeys=list_passkeys(db.session, person.id),
        is_needed=lacks_second_factor(person),
        tokens=list_tokens(db.session, person.id),
        providers=providers,
        connected=next((each.title for each in providers if each.key == place), place),
        now=now(),
        done=request.args.get("done"),
    )
