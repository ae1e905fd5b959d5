"""The pages of one's own account."""

from __future__ import annotations

from flask import Blueprint
from werkzeug.wrappers import Response

from cms.accounts.current import needs
from cms.accounts.private_pages import show_private

account = Blueprint("account", __name__, url_prefix="/account")


@account.get("/")
@needs("account.see")
def show_account() -> Response:
    return show_private("accounts/account.html")
