"""The pages for a forgotten password. None of them says whether there is an account."""

from __future__ import annotations

from flask import Blueprint, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from cms.accounts.current import address_of_request, count_or_refuse, needs, now
from cms.accounts.errors import AccountInvalid, sentence
from cms.accounts.forms import LoginForm, NewPasswordForm
from cms.accounts.private_pages import show_unkept
from cms.accounts.reset import MAILS, MAILS_FROM_ADDRESS, ask_for_reset, is_reset_token, reset_password
from cms.extensions import db, transaction

resetting = Blueprint("reset", __name__, url_prefix="/account/reset")


@resetting.get("")
@needs("sign_in.see")
def show_forgotten() -> AnyResponse:
    return show_unkept("accounts/forgotten.html", form=LoginForm(), is_sent="sent" in request.args)


@resetting.post("")
@needs("sign_in.do")
def do_ask() -> AnyResponse:
    form = LoginForm(request.form)
    if not form.validate():
        return show_unkept("accounts/forgotten.html", status=422, form=form, is_sent=False)
    login = (form.login.data or "").strip()
    count_or_refuse((MAILS, login), (MAILS_FROM_ADDRESS, address_of_request()))
    with transaction() as session:
        ask_for_reset(session, login, at=now())
    return redirect("/account/reset?sent=1", 303)


@resetting.get("/<token>")
@needs("sign_in.see")
def show_reset(token: str) -> AnyResponse:
    """Ask for the new password; programs that look into mails open links too, so this uses nothing up."""
    if not is_reset_token(db.session, token, at=now()):
        return show_unkept("accounts/reset_over.html", status=410)
    return show_unkept("accounts/reset.html", form=NewPasswordForm())


@resetting.post("/<token>")
@needs("sign_in.do")
def do_reset(token: str) -> AnyResponse:
    """Store the new password; signing in with it comes after, with whatever else that asks for."""
    form = NewPasswordForm(request.form)
    if not form.validate():
        return show_unkept("accounts/reset.html", status=422, form=form)
    try:
        with transaction() as session:
            is_done = reset_password(session, token, form.new.data or "", at=now())
    except AccountInvalid as refused:
        form.new.errors = [sentence(refused)]
        return show_unkept("accounts/reset.html", status=422, form=form)
    return (
        redirect("/account/sign-in?done=reset", 303) if is_done else show_unkept("accounts/reset_over.html", status=410)
    )
