"""The pages for API tokens: a new one, shown once, and taking one back."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, abort, redirect, request
from werkzeug.wrappers import Response

from cms.accounts.current import get_current, needs, now
from cms.accounts.errors import AccountInvalid, sentence
from cms.accounts.forms import TokenForm
from cms.accounts.permissions import list_scopes
from cms.accounts.private_pages import show_private
from cms.accounts.tokens import create_token, remove_token
from cms.extensions import transaction

tokens = Blueprint("tokens", __name__, url_prefix="/account/tokens")


@tokens.get("/new")
@needs("account.see_keys")
def show_new() -> Response:
    return show_form(read_form())


@tokens.post("/new")
@needs("account.secure")
def do_create() -> Response:
    """Answer with the token itself: it is nowhere else, so there is no page to go on to."""
    person, form = get_current(), read_form()
    if not form.validate():
        return show_form(form, status=422)
    name, scopes, days = form.name.data or "", form.scopes.data or [], int(form.days.data)
    try:
        with transaction() as session:
            token = create_token(session, person, name, scopes=scopes, days=days, at=now())
    except AccountInvalid as refused:
        return show_form(form, status=422, problem=sentence(refused))
    return show_private("accounts/token_made.html", status=201, token=token)


@tokens.post("/<uuid:token_id>/remove")
@needs("account.change")
def do_remove(token_id: UUID) -> Response:
    """Take a token back. Somebody else's is not there, as far as this page knows."""
    with transaction() as session:
        is_removed = remove_token(session, get_current(), token_id, at=now())
    return redirect("/account/security?done=token", 303) if is_removed else abort(404)


def read_form() -> TokenForm:
    form = TokenForm(request.form)
    form.scopes.choices = [each.name for each in list_scopes(get_current().roles)]  # type: ignore[misc]
    return form


def show_form(form: TokenForm, *, status: int = 200, problem: str | None = None) -> Response:
    scopes = list_scopes(get_current().roles)
    return show_private("accounts/token_new.html", status=status, form=form, scopes=scopes, problem=problem)
