"""The pages on which somebody makes their account: who was invited, and where the site is open, who asks for it."""

from __future__ import annotations

from flask import Blueprint, abort, current_app, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from cms.accounts.current import address_of_request, count_or_refuse, needs, now
from cms.accounts.errors import AccountExists, AccountInvalid, whole_sentence
from cms.accounts.forms import EmailForm, JoinForm
from cms.accounts.invitations import MAILS, MAILS_FROM_ADDRESS, accept_invitation, ask_for_account, find_invitation
from cms.accounts.private_pages import show_unkept
from cms.errors import CmsError
from cms.extensions import db, transaction
from cms.mail.errors import MailInvalid

joining = Blueprint("joining", __name__, url_prefix="/account")


@joining.get("/register")
@needs("sign_in.see")
def show_register() -> AnyResponse:
    refuse_if_closed()
    return show_unkept("accounts/register.html", form=EmailForm(), is_sent="sent" in request.args)


@joining.post("/register")
@needs("sign_in.do")
def do_register() -> AnyResponse:
    """Take the address; what comes of it only its owner's mail says."""
    refuse_if_closed()
    form = EmailForm(request.form)
    email = (form.email.data or "").strip()
    count_or_refuse((MAILS, email), (MAILS_FROM_ADDRESS, address_of_request()))
    try:
        if form.validate():
            with transaction() as session:
                ask_for_account(session, email, at=now())
            return redirect("/account/register?sent=1", 303)
    except (AccountInvalid, MailInvalid) as refused:
        form.email.errors = [whole_sentence(refused)]
    return show_unkept("accounts/register.html", status=422, form=form, is_sent=False)


def refuse_if_closed() -> None:
    """Answer 404 where people have to be invited."""
    if current_app.config["REGISTRATION"] != "open":
        abort(404)


@joining.get("/invitation/<token>")
@needs("sign_in.see")
def show_invitation(token: str) -> AnyResponse:
    """Ask for a name and a password; programs that look into mails open links too, so this uses nothing up."""
    return show_join(token, JoinForm())


@joining.post("/invitation/<token>")
@needs("sign_in.do")
def do_accept(token: str) -> AnyResponse:
    """Make the account; signing in to it comes after, with whatever else that asks for."""
    form = JoinForm(request.form)
    if not form.validate():
        return show_join(token, form, status=422)
    username, password = (form.username.data or "").strip(), form.new.data or ""
    try:
        with transaction() as session:
            user = accept_invitation(session, token, username=username, password=password, at=now())
    except (AccountInvalid, AccountExists) as refused:
        return show_join(token, form, status=422, problem=refused)
    return redirect("/account/sign-in?done=joined", 303) if user else show_over()


def show_join(token: str, form: JoinForm, *, status: int = 200, problem: CmsError | None = None) -> AnyResponse:
    invitation = find_invitation(db.session, token, at=now())
    if invitation is None:
        return show_over()
    says = whole_sentence(problem) if problem else None
    return show_unkept("accounts/join.html", status=status, form=form, invitation=invitation, problem=says)


def show_over() -> AnyResponse:
    return show_unkept("accounts/invitation_over.html", status=410)
