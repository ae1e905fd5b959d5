"""The pages of the second factor: asking for it, and setting it up."""

from __future__ import annotations

import logging
from uuid import UUID

from flask import Blueprint, Response, abort, current_app, redirect, request
from markupsafe import Markup
from werkzeug.wrappers import Response as AnyResponse

from cms.accounts.authenticators import ask_for_key
from cms.accounts.codes import app_address, draw, new_app_secret
from cms.accounts.current import (
    SESSION,
    STEP,
    client_of_request,
    count_or_refuse,
    delete_cookie,
    get_current,
    needs,
    now,
    read_cookie,
    set_cookie,
)
from cms.accounts.errors import AccountInvalid, sentence, whole_sentence
from cms.accounts.forms import AppForm, CodeForm
from cms.accounts.limits import forget_tries
from cms.accounts.passkeys import list_credentials
from cms.accounts.private_pages import show_private, show_unkept
from cms.accounts.sealing import seal, unseal
from cms.accounts.second_factor import (
    CODES,
    CODES_PER_DAY,
    CODES_PER_HOUR,
    purpose,
    renew_recovery_codes,
    turn_off_app,
    turn_on_app,
    use_code,
)
from cms.accounts.sign_in import finish_sign_in
from cms.accounts.steps import SECOND_FACTOR, Step, find_step
from cms.extensions import db, transaction

logger = logging.getLogger(__name__)

second_factor = Blueprint("second_factor", __name__, url_prefix="/account/second-factor")


# --- asking for it --------------------------------------------------------------------------------------------------


@second_factor.get("")
@needs("sign_in.see")
def show_ask() -> AnyResponse:
    step = find_open_step()
    return show_code_form(CodeForm(), step) if step else redirect("/account/sign-in")


@second_factor.post("")
@needs("sign_in.do")
def do_answer() -> AnyResponse:
    """Sign in whose password was right a moment ago, if the code is right too."""
    step, form = find_open_step(), CodeForm(request.form)
    if step is None or step.user_id is None:
        return redirect("/account/sign-in", 303)
    if not form.validate():
        return show_code_form(form, step, status=422)
    count_code(step.user_id)
    try:
        with transaction() as session:
            secret, at = None, now()
            if use_code(session, step.user_id, form.code.data or "", at=at):
                secret = finish_sign_in(session, read_cookie(STEP), by="code", client=client_of_request(), at=at)
                forget_tries(session, CODES, str(step.user_id))
    except AccountInvalid as refused:
        return show_code_form(form, step, status=422, problem=whole_sentence(refused))
    if secret is None:
        logger.warning("second factor refused address=%s", request.remote_addr)
        return show_code_form(form, step, status=422, problem="This code is wrong, or was used already.")
    return go_on(secret, step.details["next"])


def go_on(secret: str, path: str) -> AnyResponse:
    """Send on whoever is signed in now; the step that led here is over."""
    response = redirect(path, 303)
    set_cookie(response, secret, SESSION)
    delete_cookie(response, STEP)
    return response


def find_open_step() -> Step | None:
    return find_step(db.session, SECOND_FACTOR, read_cookie(STEP), at=now())


def count_code(user_id: UUID) -> None:
    """Count one try at somebody's second factor; 429 when there were too many."""
    count_or_refuse(*((limit, str(user_id)) for limit in (CODES, CODES_PER_HOUR, CODES_PER_DAY)))


def show_code_form(form: CodeForm, step: Step, *, status: int = 200, problem: str | None = None) -> Response:
    known = list_credentials(db.session, step.user_id) if step.user_id else []
    options = ask_for_key(step.details["challenge"], known=known, is_alone=False) if known else None
    return show_unkept("accounts/second_factor.html", status=status, form=form, problem=problem, options=options)


# --- setting it up --------------------------------------------------------------------------------------------------


@second_factor.get("/app")
@needs("account.see_keys")
def show_app() -> AnyResponse:
    return show_app_form(AppForm(), new_app_secret())


@second_factor.post("/app")
@needs("account.secure")
def do_turn_on_app() -> AnyResponse:
    """Take the app's first code. Until then its secret is nowhere but in the form, sealed."""
    person, form = get_current(), AppForm(request.form)
    secret = unseal(form.sealed.data or "", about=purpose(person.id))
    if secret is None or not form.validate():
        return show_app_form(form, secret or new_app_secret(), status=422)
    try:
        with transaction() as session:
            codes = turn_on_app(session, person, secret, form.code.data or "", at=now())
    except AccountInvalid as refused:
        form.code.errors = [sentence(refused)]
        return show_app_form(form, secret, status=422)
    return show_private("accounts/recovery_codes.html", status=201, codes=codes, is_new=True)


@second_factor.post("/app/remove")
@needs("account.secure")
def do_turn_off_app() -> AnyResponse:
    with transaction() as session:
        is_removed = turn_off_app(session, get_current(), at=now())
    return redirect("/account/security?done=app-removed", 303) if is_removed else abort(404)


@second_factor.post("/recovery-codes")
@needs("account.secure")
def do_renew_recovery_codes() -> AnyResponse:
    person = get_current()
    if not person.is_protected:
        abort(404)
    with transaction() as session:
        codes = renew_recovery_codes(session, person, at=now())
    return show_private("accounts/recovery_codes.html", status=201, codes=codes, is_new=False)


def show_app_form(form: AppForm, secret: str, *, status: int = 200) -> AnyResponse:
    person = get_current()
    address = app_address(secret, username=person.username, site_name=current_app.config["SITE_NAME"])
    return show_private(
        "accounts/app.html",
        status=status,
        form=form,
        address=address,
        picture=Markup(draw(address)),  # noqa: S704 - an SVG that segno draws, of squares alone
        secret=" ".join(secret[start : start + 4] for start in range(0, len(secret), 4)),
        sealed=seal(secret, about=purpose(person.id)),
    )
