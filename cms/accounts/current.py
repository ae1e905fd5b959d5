"""Who asks, and may they: each request is held against the permission table before any view sees it.

Somebody asks by the cookie of a session, a program by ``Authorization: Bearer`` and a token; the table is the same.

A view says what it needs with ``@needs("post.change")``. Whoever may do that to no object at all is refused here; a
view that shows or changes an object asks again with the object in hand, by ``demand`` or ``Person.may``.
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from ipaddress import ip_address, ip_network
from typing import Any, TypeVar
from uuid import UUID

from flask import Flask, Response, abort, current_app, g, redirect, request, url_for
from markupsafe import Markup
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import TooManyRequests, Unauthorized
from werkzeug.wrappers import Response as AnyResponse

from cms.accounts.limits import COUNTER, Count, Limit, count_try
from cms.accounts.permissions import PERMISSIONS, VISITOR, Permission
from cms.accounts.redis_limits import RedisCounter
from cms.accounts.sessions import LASTS, PROOF_LASTS, TOUCHED_EVERY, Client, Person, find_person, touch_session
from cms.accounts.steps import STEP_LASTS
from cms.accounts.time_zones import zone_called
from cms.accounts.tokens import WRONG_TOKENS, find_bearer, touch_token
from cms.extensions import db, transaction
from cms.web.origin import SAFE_METHODS
from cms.web.paths import is_own_path
from cms.web.problems import Problem, is_for_programs

logger = logging.getLogger(__name__)

View = TypeVar("View", bound=Callable[..., Any])  # Any: what Flask takes for an answer
CSRF_FIELD, CSRF_HEADER = "csrf", "X-CSRF-Token"
OWN_ACCOUNT = "account."  # begins the permissions for it


@dataclass(frozen=True)
class Cookie:
    """A secret that a browser keeps. lasts: how long, if it is not ended before."""

    name: str
    lasts: timedelta


SESSION = Cookie("session", LASTS)
STEP = Cookie("sign-in", STEP_LASTS)
# Blueprints, and Flask's own endpoint, whose pages are for everybody and only read.
OPEN = frozenset({"static", "health", "jobs_health", "discovery", "media"})
OPEN |= {"blogs", "feeds", "sitemaps", "search", "archive"}


def init_app(app: Flask) -> None:
    """Ask before each request, and keep what only one person may see out of every cache."""
    app.extensions[COUNTER] = RedisCounter(app.config["REDIS_URL"]) if app.config["REDIS_URL"] else None
    app.before_request(authorize)
    app.after_request(keep_private)
    app.jinja_env.globals["csrf_field"] = csrf_field


def needs(permission: str) -> Callable[[View], View]:
    """Say which permission of the table a view needs. KeyError if the table has no such row."""

    def mark(view: View) -> View:
        view.permission = PERMISSIONS[permission]  # type: ignore[attr-defined]
        return view

    return mark


def permission_of(endpoint: str) -> Permission | None:
    """Return what an endpoint needs; None for one that nobody thought of, which nobody may use."""
    if endpoint.partition(".")[0] in OPEN:
        return PERMISSIONS["site.see"]
    return getattr(current_app.view_functions[endpoint], "permission", None)


def authorize() -> AnyResponse | None:
    """Refuse who may not, or send them to where they can show that they may. Public pages ask no database for it."""
    if request.endpoint is None or request.method == "OPTIONS":  # no view will run
        return None
    permission = permission_of(request.endpoint)
    if permission is None or permission.changes == (request.method in SAFE_METHODS):
        logger.error("refused endpoint=%s method=%s: no such row in the table", request.endpoint, request.method)
        abort(403)
    if VISITOR in permission.grants:
        return None
    person = find_current()
    if person is None:
        return ask_to_sign_in()
    if not person.may_ever(permission.name) or (permission.changes and not is_on_purpose(person)):
        abort(403)
    if lacks_second_factor(person) and not permission.name.startswith(OWN_ACCOUNT):
        return send_on("/account/security?done=needed", "second-factor-needed", "Set a second factor up first")
    if permission.is_dangerous and now() - person.proven_at > PROOF_LASTS:
        path = url_for("sign_in.show_confirm", next=page_asked_for())
        return send_on(path, "confirmation-needed", "Prove first, in a browser, who you are")
    if now() - person.used_at > TOUCHED_EVERY:
        note_use(person)
    return None


def send_on(path: str, kind: str, what: str) -> AnyResponse:
    """Send somebody to a page where they do what is missing; a program is told where that is."""
    if is_for_programs():
        raise Problem(403, kind, f"{what}, at {path.partition('?')[0]}. Nothing was changed.")
    return redirect(path, 303) if get_current().session_id else abort(403)


def lacks_second_factor(person: Person) -> bool:
    """Tell whether somebody has to set a second factor up before anything but their own account is open to them."""
    asked: tuple[str, ...] = current_app.config["SECOND_FACTOR_ROLES"]
    return not person.is_protected and not person.roles.isdisjoint(asked)


def note_use(person: Person) -> None:
    with transaction() as session:
        if person.token_id:
            touch_token(session, person.token_id, at=now())
        else:
            touch_session(session, person, client=client_of_request(), at=now())


def ask_to_sign_in() -> AnyResponse:
    """Send a reader to the page for it, and from there back. What was sent would be lost on the way, so it stays."""
    if is_for_programs():
        raise Unauthorized(www_authenticate=WWWAuthenticate("bearer"))
    if request.method not in SAFE_METHODS:
        abort(401)
    return redirect(url_for("sign_in.show_sign_in", next=page_asked_for()), 303)


def find_current() -> Person | None:
    """Return who is signed in, or None; asks the database once in a request. The answer is nobody else's from then on.

    A page for everybody must not ask: it would no longer be the same for all, and no cache could keep it.
    A program that shows a token counts by that alone, whatever cookies it sends; 401 if the token does not work.
    """
    if "person" not in g:
        g.person = None  # the answer to a token that does not work is nobody else's either
        shown = request.authorization
        g.person = get_bearer(shown.token or "") if shown and shown.type == "bearer" else find_signed_in()
        g.zone = zone_called(g.person.timezone if g.person else None)
    person: Person | None = g.person
    return person


def find_signed_in() -> Person | None:
    secret = read_cookie(SESSION)
    idle = timedelta(minutes=current_app.config["ADMIN_IDLE_MIN"])
    return find_person(db.session, secret, admin_idle=idle, at=now()) if secret else None


def get_bearer(token: str) -> Person:
    """Return whose token it is; 401 if it does not work, 429 after many from one place."""
    person = find_bearer(db.session, token, at=now())
    if person is None:
        count_or_refuse((WRONG_TOKENS, address_of_request()))
        raise Unauthorized(www_authenticate=WWWAuthenticate("bearer", {"error": "invalid_token"}))
    return person


def get_current() -> Person:
    """Return who is signed in, in a view that needs a permission; 401 if nobody is."""
    return find_current() or abort(401)


def demand(permission: str, *, owner: UUID | None = None, state: str = "") -> Person:
    """Return who is signed in if they may do this to the object, else answer 403. owner, state: the object's."""
    person = get_current()
    if not person.may(permission, owner=owner, state=state):
        abort(403)
    return person


def keep_private(response: Response) -> Response:
    """Let nobody keep an answer for which a session was read, nor tell other sites where it was."""
    if "person" in g:
        response.headers["Cache-Control"] = "no-store"
        response.headers["Referrer-Policy"] = "same-origin"
        response.vary.update(("Cookie", "Authorization"))
    return response


# --- the cookie, and what proves that a form is ours --------------------------------------------------------------


def cookie_name(cookie: Cookie) -> str:
    """Return a name that browsers take only from this host and by https, where the site has that."""
    return f"__Host-{cookie.name}" if is_https() else cookie.name


def is_https() -> bool:
    return str(current_app.config["SITE_URL"]).startswith("https://")


def read_cookie(cookie: Cookie) -> str:
    return request.cookies.get(cookie_name(cookie), "")


def set_cookie(response: AnyResponse, secret: str, cookie: Cookie) -> None:
    response.set_cookie(
        cookie_name(cookie), secret, max_age=cookie.lasts, secure=is_https(), httponly=True, samesite="Lax", path="/"
    )


def delete_cookie(response: AnyResponse, cookie: Cookie) -> None:
    response.delete_cookie(cookie_name(cookie), secure=is_https(), httponly=True, samesite="Lax", path="/")


def csrf_token(session_id: UUID) -> str:
    """Return what every form of this session must bring along."""
    key: str = current_app.config["SECRET_KEY"]
    return hmac.new(key.encode(), b"csrf:" + session_id.bytes, sha256).hexdigest()


def is_on_purpose(person: Person) -> bool:
    """Tell whether a form of ours was sent; browsers show no token by themselves, so a program needs nothing else."""
    if person.session_id is None:
        return True
    given = request.form.get(CSRF_FIELD) or request.headers.get(CSRF_HEADER, "")
    return hmac.compare_digest(given.encode(), csrf_token(person.session_id).encode())


def csrf_field() -> Markup:
    """Return the hidden field for a form on a page that needs a permission."""
    if (session_id := get_current().session_id) is None:
        return Markup()
    return Markup('<input type="hidden" name="{}" value="{}">').format(CSRF_FIELD, csrf_token(session_id))


# --- the request --------------------------------------------------------------------------------------------------


def client_of_request() -> Client:
    return Client(browser=request.headers.get("User-Agent", ""), address=request.remote_addr)


def page_asked_for() -> str:
    """Return the path that was asked for, or for a form the path of its page."""
    if request.method in SAFE_METHODS:
        return request.full_path.rstrip("?")
    path = request.headers.get("Referer", "").removeprefix(request.host_url.rstrip("/"))
    return path if is_own_path(path) else "/account/"


def next_path() -> str:
    """Return where the reader wanted to go, ``next`` of the form or address; the account page if that leads away."""
    path = request.values.get("next", "")
    return path if is_own_path(path) else "/account/"


def now() -> datetime:
    return datetime.now(UTC)


def address_of_request() -> str:
    """Return the network that limits count by: one IPv4 address, or the 64 bits that one customer of IPv6 has."""
    try:
        address = ip_address(request.remote_addr or "")
    except ValueError:
        return "unknown"
    return str(address) if address.version == 4 else str(ip_network((address, 64), strict=False))  # noqa: PLR2004


def count_or_refuse(*tries: tuple[Limit, str]) -> list[Count]:
    """Count one try against each limit, for whom it counts; 429 with the time to wait if one of them is passed."""
    counter: RedisCounter | None = current_app.extensions[COUNTER]
    counts = counter.count(tries) if counter else None
    if counts is None:
        with transaction() as session:
            counts = [count_try(session, limit, whom, at=now()) for limit, whom in tries]
    if wait_s := max(count.wait_s for count in counts):
        raise TooManyRequests(retry_after=wait_s)
    return counts
