"""The pages of passkeys: adding one, removing one, and signing in by one."""

from __future__ import annotations

import logging
from uuid import UUID

from flask import Blueprint, Response, abort, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from cms.accounts.authenticators import ask_for_key, ask_for_new_key, new_challenge
from cms.accounts.current import (
    STEP,
    address_of_request,
    client_of_request,
    count_or_refuse,
    find_current,
    get_current,
    needs,
    next_path,
    now,
    read_cookie,
    set_cookie,
)
from cms.accounts.errors import AccountInvalid, sentence, whole_sentence
from cms.accounts.forms import PasskeyForm, SignInForm
from cms.accounts.limits import forget_tries
from cms.accounts.passkeys import (
    ASKED_FROM_ADDRESS,
    add_passkey,
    begin_passkey,
    finish_by_passkey,
    list_credentials,
    remove_passkey,
    sign_in_by_passkey,
)
from cms.accounts.private_pages import show_private
from cms.accounts.sealing import seal, unseal
from cms.accounts.second_factor import CODES
from cms.accounts.second_factor_views import count_code, find_open_step, go_on
from cms.accounts.sessions import end_session
from cms.accounts.sign_in_views import show_form
from cms.extensions import db, transaction

logger = logging.getLogger(__name__)

passkeys = Blueprint("passkeys", __name__, url_prefix="/account/passkeys")


# --- one's own ------------------------------------------------------------------------------------------------------


@passkeys.get("/new")
@needs("account.see_keys")
def show_new() -> AnyResponse:
    return show_new_form(PasskeyForm())


@passkeys.post("/new")
@needs("account.secure")
def do_add() -> AnyResponse:
    """Take what the browser made. What it had to sign is in the form, sealed."""
    person, form = get_current(), PasskeyForm(request.form)
    challenge = unseal(form.sealed.data or "", about=purpose(person.id))
    if challenge is None or not form.validate():
        return show_new_form(form, status=422)
    answer = form.answer.data or ""
    try:
        with transaction() as session:
            codes = add_passkey(session, person, form.name.data or "", answer=answer, challenge=challenge, at=now())
    except AccountInvalid as refused:
        return show_new_form(form, status=422, problem=sentence(refused))
    if codes:
        return show_private("accounts/recovery_codes.html", status=201, codes=codes, is_new=True)
    return redirect("/account/security?done=passkey", 303)


@passkeys.post("/<uuid:passkey_id>/remove")
@needs("account.secure")
def do_remove(passkey_id: UUID) -> AnyResponse:
    """Forget a passkey. Somebody else's is not there, as far as this page knows."""
    with transaction() as session:
        is_removed = remove_passkey(session, get_current(), passkey_id, at=now())
    return redirect("/account/security?done=passkey-removed", 303) if is_removed else abort(404)


def show_new_form(form: PasskeyForm, *, status: int = 200, problem: str | None = None) -> Response:
    person, challenge = get_current(), new_challenge()
    known = list_credentials(db.session, person.id)
    return show_private(
        "accounts/passkey_new.html",
        status=status,
        form=form,
        problem=problem,
        options=ask_for_new_key(challenge, user_id=person.id, username=person.username, known=known),
        sealed=seal(challenge, about=purpose(person.id)),
    )


def purpose(user_id: UUID) -> str:
    return f"new passkey of {user_id}"


# --- signing in -----------------------------------------------------------------------------------------------------


@passkeys.post("/begin")
@needs("sign_in.do")
def do_begin() -> AnyResponse:
    """Answer with what a passkey has to sign; the browser keeps the step's secret until it did."""
    count_or_refuse((ASKED_FROM_ADDRESS, address_of_request()))
    with transaction() as session:
        secret, challenge = begin_passkey(session, at=now())
    response = Response(ask_for_key(challenge, is_alone=True), mimetype="application/json")
    response.headers["Cache-Control"] = "no-store"
    set_cookie(response, secret, STEP)
    return response


@passkeys.post("/sign-in")
@needs("sign_in.do")
def do_sign_in() -> AnyResponse:
    """Sign in without a password, under a new session; one that was there before in this browser ends."""
    count_or_refuse((ASKED_FROM_ADDRESS, address_of_request()))
    answer, before, client = request.form.get("answer", ""), find_current(), client_of_request()
    with transaction() as session:
        secret = sign_in_by_passkey(session, read_cookie(STEP), answer, client=client, at=now())
        if secret and before:
            end_session(session, before.id, before.session_id)
    if secret is None:
        logger.warning("passkey refused address=%s", request.remote_addr)
        return show_form(SignInForm(), 422, "This passkey is not known here, or came too late. Try once more.")
    return go_on(secret, next_path())


@passkeys.post("/second-factor")
@needs("sign_in.do")
def do_finish() -> AnyResponse:
    """Sign in whose password was right a moment ago, if the passkey is theirs."""
    step = find_open_step()
    if step is None or step.user_id is None:
        return redirect("/account/sign-in", 303)
    count_code(step.user_id)
    answer, client = request.form.get("answer", ""), client_of_request()
    try:
        with transaction() as session:
            secret = finish_by_passkey(session, read_cookie(STEP), answer, client=client, at=now())
            if secret:
                forget_tries(session, CODES, str(step.user_id))
    except AccountInvalid as refused:
        return show_form(SignInForm(), 422, whole_sentence(refused))
    if secret is None:
        logger.warning("second factor refused address=%s", request.remote_addr)
        return show_form(SignInForm(), 422, "This passkey is not yours, or came too late. Sign in once more.")
    return go_on(secret, step.details["next"])
