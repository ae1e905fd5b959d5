"""The pages on which people confirm their e-mail address, and change it."""

from __future__ import annotations

from flask import Blueprint, current_app, redirect, request
from werkzeug.wrappers import Response

from cms.accounts.addresses import MAILS, ask_to_change, ask_to_confirm, confirm_address, find_address
from cms.accounts.current import count_or_refuse, get_current, needs, now
from cms.accounts.errors import AccountInvalid, whole_sentence
from cms.accounts.forms import EmailForm
from cms.accounts.models import User
from cms.accounts.private_pages import show_private, show_unkept
from cms.extensions import db, transaction
from cms.mail.errors import MailInvalid

addresses = Blueprint("addresses", __name__, url_prefix="/account/email")


@addresses.get("")
@needs("account.see")
def show_address() -> Response:
    return show_address_form(EmailForm())


@addresses.post("")
@needs("account.secure")
def do_ask_to_change() -> Response:
    """Ask both addresses; the answer is the same whether the new one has an account or not."""
    person, form = get_current(), EmailForm(request.form)
    count_or_refuse((MAILS, person.username))
    try:
        if form.validate():
            with transaction() as session:
                email, site_url = (form.email.data or "").strip(), current_app.config["SITE_URL"]
                ask_to_change(session, person.id, email, site_url=site_url, at=now())
            return redirect("/account/email?done=change", 303)
    except (AccountInvalid, MailInvalid) as refused:
        form.email.errors = [whole_sentence(refused)]
    return show_address_form(form, status=422)


@addresses.post("/confirm")
@needs("account.change")
def do_ask_to_confirm() -> Response:
    person = get_current()
    count_or_refuse((MAILS, person.username))
    with transaction() as session:
        ask_to_confirm(session, person.id, site_url=current_app.config["SITE_URL"], at=now())
    return redirect("/account/email?done=sent", 303)


def show_address_form(form: EmailForm, *, status: int = 200) -> Response:
    is_confirmed = db.session.get_one(User, get_current().id).is_verified
    done = request.args.get("done")
    return show_private("accounts/email.html", status=status, form=form, is_confirmed=is_confirmed, done=done)


@addresses.get("/confirm/<token>")
@needs("sign_in.see")
def show_confirmation(token: str) -> Response:
    """Ask; programs that look into mails open links too, so this uses nothing up. Nobody has to be signed in here."""
    return show_outcome(None, find_address(db.session, token, at=now()))


@addresses.post("/confirm/<token>")
@needs("sign_in.do")
def do_confirm(token: str) -> Response:
    with transaction() as session:
        confirmed = confirm_address(session, token, at=now())
    return show_outcome(confirmed.value if confirmed else None, None)


def show_outcome(outcome: str | None, email: str | None) -> Response:
    status = 200 if outcome or email else 410
    return show_unkept("accounts/confirm_email.html", status=status, outcome=outcome, email=email)
