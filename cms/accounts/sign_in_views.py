"""The pages for signing in and out, and for saying once more who one is."""

from __future__ import annotations

import logging

from flask import Blueprint, Response, current_app, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from cms.accounts.current import (
    SESSION,
    STEP,
    address_of_request,
    client_of_request,
    count_or_refuse,
    delete_cookie,
    find_current,
    get_current,
    needs,
    next_path,
    now,
    set_cookie,
)
from cms.accounts.forms import ConfirmForm, SignInForm
from cms.accounts.limits import forget_tries
from cms.accounts.private_pages import show_private, show_unkept
from cms.accounts.providers import list_providers
from cms.accounts.sessions import end_session, prove_session
from cms.accounts.sign_in import GUESSES, GUESSES_AT_ACCOUNT, GUESSES_FROM_ADDRESS, check_password, sign_in
from cms.extensions import db, transaction

logger = logging.getLogger(__name__)

signing = Blueprint("sign_in", __name__, url_prefix="/account", template_folder="templates")


@signing.get("/sign-in")
@needs("sign_in.see")
def show_sign_in() -> AnyResponse:
    if find_current():
        return redirect(next_path())
    return show_form(SignInForm())


@signing.post("/sign-in")
@needs("sign_in.do")
def do_sign_in() -> AnyResponse:
    """Sign in under a new session; one that was there before in this browser ends."""
    form = SignInForm(request.form)
    if not form.validate():
        return show_form(form, 422)
    login, password = (form.login.data or "").strip(), form.password.data or ""
    whom = f"{login} {address_of_request()}"
    count_or_refuse((GUESSES, whom), (GUESSES_AT_ACCOUNT, login), (GUESSES_FROM_ADDRESS, address_of_request()))
    before = find_current()
    proven = check_password(db.session, login, password)
    with transaction() as session:
        client = client_of_request()
        opened = proven and sign_in(session, proven, password, next_path=next_path(), client=client, at=now())
        if opened:
            forget_tries(session, GUESSES, whom)
            if before:
                end_session(session, before.id, before.session_id)
    if not opened:
        logger.warning("sign-in refused address=%s", request.remote_addr)
        return show_form(form, 422, "This name and this password do not belong together.")
    response = redirect(next_path() if opened.is_session else "/account/second-factor", 303)
    set_cookie(response, opened.secret, SESSION if opened.is_session else STEP)
    return response


@signing.post("/sign-out")
@needs("account.sign_out")
def do_sign_out() -> AnyResponse:
    person = get_current()
    with transaction() as session:
        end_session(session, person.id, person.session_id)
    response = redirect("/", 303)
    delete_cookie(response, SESSION)
    return response


@signing.get("/confirm")
@needs("account.see")
def show_confirm() -> AnyResponse:
    return show_private("accounts/confirm.html", form=ConfirmForm(), next_path=next_path(), problem=None)


@signing.post("/confirm")
@needs("account.confirm")
def do_confirm() -> AnyResponse:
    """Take the password once more; for a quarter of an hour nothing asks for it again."""
    person, form = get_current(), ConfirmForm(request.form)
    count_or_refuse((GUESSES, f"{person.username} {address_of_request()}"), (GUESSES_AT_ACCOUNT, person.username))
    proven = check_password(db.session, person.username, form.password.data or "")
    if proven is None or proven.user_id != person.id:
        problem = "That is not your password."
        return show_private("accounts/confirm.html", status=422, form=form, next_path=next_path(), problem=problem)
    with transaction() as session:
        prove_session(session, person, at=now())
        forget_tries(session, GUESSES, f"{person.username} {address_of_request()}")
    return redirect(next_path(), 303)


def show_form(form: SignInForm, status: int = 200, problem: str | None = None) -> Response:
    providers = list_providers(current_app.config)
    return show_unkept(
        "accounts/sign_in.html", status=status, form=form, next_path=next_path(), problem=problem, providers=providers
    )
