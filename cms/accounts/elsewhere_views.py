"""The pages for signing in elsewhere: on the way there, back again, and for whom nobody here knows yet."""

from __future__ import annotations

import logging
from hmac import compare_digest
from types import ModuleType
from typing import NoReturn

from flask import Blueprint, Response, abort, current_app, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from cms.accounts import github, openid
from cms.accounts.connections import connect, disconnect
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
    read_cookie,
    set_cookie,
)
from cms.accounts.elsewhere import (
    AWAY,
    TRIES_FROM_ADDRESS,
    UNKNOWN,
    begin_elsewhere,
    begin_unknown,
    join_elsewhere,
    sign_in_elsewhere,
)
from cms.accounts.errors import AccountExists, AccountInvalid, ProviderFailed, whole_sentence
from cms.accounts.forms import NewNameForm, SignInForm
from cms.accounts.identities import Attempt, Identity, identity_of, new_attempt
from cms.accounts.limits import forget_tries
from cms.accounts.private_pages import show_unkept
from cms.accounts.providers import GITHUB, Provider, find_provider
from cms.accounts.sessions import end_session
from cms.accounts.sign_in import (
    GUESSES,
    GUESSES_AT_ACCOUNT,
    GUESSES_FROM_ADDRESS,
    Opened,
    check_password,
    find_by_login,
    sign_in,
)
from cms.accounts.steps import Step, find_step, take_step
from cms.extensions import db, transaction

logger = logging.getLogger(__name__)

elsewhere = Blueprint("elsewhere", __name__, url_prefix="/account/elsewhere")
LONGEST_CODE = 4000


def get_provider(key: str) -> Provider:
    return find_provider(current_app.config, key) or abort(404)


def protocol_of(provider: Provider) -> ModuleType:
    """Return what speaks with the provider: ``address_to_go_to`` and ``identify``."""
    return github if provider.key == GITHUB else openid


# --- there ----------------------------------------------------------------------------------------------------------


@elsewhere.post("/<key>/begin")
@needs("sign_in.do")
def do_begin(key: str) -> AnyResponse:
    """Send somebody to a provider."""
    return send_away(get_provider(key), connects=False)


@elsewhere.post("/<key>/connect")
@needs("account.secure")
def do_begin_to_connect(key: str) -> AnyResponse:
    """Send somebody who is signed in to a provider, to be known by it from then on."""
    return send_away(get_provider(key), connects=True)


def send_away(provider: Provider, *, connects: bool) -> AnyResponse:
    """Note the attempt, and answer with a page that leads there.

    A redirect would not do: browsers hold forms to where the page's rules let them be sent to, redirects included.
    """
    count_or_refuse((TRIES_FROM_ADDRESS, address_of_request()))
    attempt = new_attempt(current_app.config["SITE_URL"] + url_for("elsewhere.show_back", key=provider.key))
    user_id = get_current().id if connects else None
    try:
        url = protocol_of(provider).address_to_go_to(provider, attempt)
    except ProviderFailed as failed:
        return show_failed(provider, failed)
    with transaction() as session:
        secret = begin_elsewhere(session, provider, attempt, user_id=user_id, next_path=next_path(), at=now())
    response = show_unkept("accounts/elsewhere_go.html", provider=provider, url=url)
    set_cookie(response, secret, STEP)
    return response


# --- and back -------------------------------------------------------------------------------------------------------


@elsewhere.get("/<key>/callback")
@needs("sign_in.see")
def show_back(key: str) -> AnyResponse:
    """Take what the provider sent along. Only what comes next uses it up: addresses are opened by programs too."""
    provider = get_provider(key)
    if "code" not in request.args:
        failed = ProviderFailed("you were not signed in there", why=request.args.get("error", "no code"))
        return show_failed(provider, failed)
    return show_unkept("accounts/elsewhere_back.html", provider=provider)


@elsewhere.post("/<key>/callback")
@needs("sign_in.do")
def do_come_back(key: str) -> AnyResponse:
    """Ask the provider whose code it is, and sign them in; each attempt takes one answer."""
    count_or_refuse((TRIES_FROM_ADDRESS, address_of_request()))
    provider = get_provider(key)
    with transaction() as session:
        step = take_step(session, AWAY, read_cookie(STEP), at=now())
    try:
        if step is None or step.details["key"] != provider.key:
            refuse_stranger()
        identity = identify(provider, step)
        return connect_here(identity, step) if step.user_id else go_in(identity, step)
    except (ProviderFailed, AccountInvalid) as failed:
        return show_failed(provider, failed)


def identify(provider: Provider, step: Step) -> Identity:
    """Return who came back. Raises ProviderFailed if this browser did not leave, or the provider says so."""
    attempt = Attempt(**{name: step.details[name] for name in Attempt.__dataclass_fields__})
    if not compare_digest(attempt.state.encode(), request.form.get("state", "").encode()):
        refuse_stranger()
    if (issuer := request.form.get("iss", "").rstrip("/")) not in {"", provider.issuer}:
        raise ProviderFailed("somebody else answered in its place", why=f"{issuer!r:.100}")
    identity: Identity = protocol_of(provider).identify(provider, attempt, request.form.get("code", "")[:LONGEST_CODE])
    return identity


def refuse_stranger() -> NoReturn:
    """Raise ProviderFailed for an answer to what was not asked in this browser, or is answered already."""
    raise ProviderFailed("this took too long, or was begun in another browser", why="no such attempt")


def connect_here(identity: Identity, step: Step) -> AnyResponse:
    """Connect the account that is signed in to in this browser, if it is the one that wanted to be."""
    person = find_current()
    if person is None or person.id != step.user_id:
        refuse_stranger()
    with transaction() as session:
        connect(session, person.id, identity, by=person.actor, at=now())
    return redirect("/account/security?done=connected", 303)


def go_in(identity: Identity, step: Step) -> AnyResponse:
    """Sign in whom an account knows, under a new session; ask all others what they want."""
    before, path = find_current(), step.details["next"]
    with transaction() as session:
        opened = sign_in_elsewhere(session, identity, next_path=path, client=client_of_request(), at=now())
        if opened is None:
            secret = begin_unknown(session, identity, next_path=path, at=now())
        elif before:
            end_session(session, before.id, before.session_id)
    if opened:
        return send_on(opened, path)
    response = redirect("/account/elsewhere/unknown", 303)
    set_cookie(response, secret, STEP)
    return response


def send_on(opened: Opened, path: str) -> AnyResponse:
    """Go where the person wanted to go, by way of the second factor if there is one."""
    response = redirect(path if opened.is_session else "/account/second-factor", 303)
    if opened.is_session:
        delete_cookie(response, STEP)
    set_cookie(response, opened.secret, SESSION if opened.is_session else STEP)
    return response


def show_failed(provider: Provider, failed: ProviderFailed | AccountInvalid) -> Response:
    """Say what went wrong; the reasons of a provider are for the log."""
    logger.warning("sign-in elsewhere failed provider=%s reason=%s", provider.key, f"{failed.what}: {failed.why}")
    says = (
        f"{failed.what[0].upper()}{failed.what[1:]}." if isinstance(failed, ProviderFailed) else whole_sentence(failed)
    )
    return show_unkept("accounts/elsewhere_failed.html", status=422, provider=provider, says=says)


# --- known nowhere here ---------------------------------------------------------------------------------------------


@elsewhere.get("/unknown")
@needs("sign_in.see")
def show_unknown() -> AnyResponse:
    identity, _ = find_unknown()
    return show_choices(identity) if identity else redirect("/account/sign-in")


@elsewhere.post("/unknown")
@needs("sign_in.do")
def do_connect() -> AnyResponse:
    """Connect an account whose password is given, and sign in to it: after the second factor, if it has one."""
    (identity, path), form = find_unknown(), SignInForm(request.form)
    if identity is None:
        return redirect("/account/sign-in", 303)
    if not form.validate():
        return show_choices(identity, form=form, status=422)
    login, password = (form.login.data or "").strip(), form.password.data or ""
    whom = f"{login} {address_of_request()}"
    count_or_refuse((GUESSES, whom), (GUESSES_AT_ACCOUNT, login), (GUESSES_FROM_ADDRESS, address_of_request()))
    proven = check_password(db.session, login, password)
    try:
        with transaction() as session:
            opened = (
                proven
                and take_step(session, UNKNOWN, read_cookie(STEP), at=now())
                and sign_in(
                    session, proven, password, next_path=path, client=client_of_request(), at=now(), identity=identity
                )
            )
            if opened:
                forget_tries(session, GUESSES, whom)
    except AccountInvalid as refused:
        return show_choices(identity, form=form, status=422, problem=whole_sentence(refused))
    if not opened:
        logger.warning("sign-in refused address=%s", request.remote_addr)
        problem = "This name and this password do not belong together."
        return show_choices(identity, form=form, status=422, problem=problem)
    return send_on(opened, path)


@elsewhere.post("/join")
@needs("sign_in.do")
def do_join() -> AnyResponse:
    """Make an account for somebody whose address the provider confirmed, where people may make themselves one."""
    (identity, path), form = find_unknown(), NewNameForm(request.form)
    if identity is None:
        return redirect("/account/sign-in", 303)
    if not may_join(identity):
        abort(404)
    count_or_refuse((TRIES_FROM_ADDRESS, address_of_request()))
    if not form.validate():
        return show_choices(identity, joining=form, status=422)
    username = (form.username.data or "").strip()
    try:
        with transaction() as session:
            opened = join_elsewhere(session, read_cookie(STEP), username, client=client_of_request(), at=now())
    except (AccountExists, AccountInvalid) as refused:
        form.username.errors = [whole_sentence(refused)]
        return show_choices(identity, joining=form, status=422)
    return send_on(opened, path) if opened else redirect("/account/sign-in", 303)


def find_unknown() -> tuple[Identity | None, str]:
    """Return who came back to this browser and is known nowhere, and where they wanted to go."""
    step = find_step(db.session, UNKNOWN, read_cookie(STEP), at=now())
    return (identity_of(step.details), step.details["next"]) if step else (None, "/account/")


def may_join(identity: Identity) -> bool:
    return current_app.config["REGISTRATION"] == "open" and identity.own_email is not None


def show_choices(
    identity: Identity,
    *,
    form: SignInForm | None = None,
    joining: NewNameForm | None = None,
    status: int = 200,
    problem: str | None = None,
) -> Response:
    """Ask for the account's password, or for a name for a new one.

    Whether an address has an account, only somebody learns whose address the provider says it is.
    """
    has_account = identity.own_email is not None and find_by_login(db.session, identity.own_email) is not None
    return show_unkept(
        "accounts/elsewhere_unknown.html",
        status=status,
        identity=identity,
        form=form or SignInForm(login=identity.email),
        joining=joining or NewNameForm(username=identity.suggested_username),
        has_account=has_account,
        may_join=may_join(identity) and not has_account,
        problem=problem,
    )


# --- no more --------------------------------------------------------------------------------------------------------


@elsewhere.post("/disconnect")
@needs("account.secure")
def do_disconnect() -> AnyResponse:
    """Let the password and passkeys alone open the account again."""
    try:
        with transaction() as session:
            is_done = disconnect(session, get_current(), at=now())
    except AccountInvalid:
        return redirect("/account/security?done=needs-password", 303)
    return redirect("/account/security?done=disconnected", 303) if is_done else abort(404)
