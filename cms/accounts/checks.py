"""Checks of how people show who they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Response

from cms.accounts.current import SESSION, set_cookie
from cms.accounts.permissions import ADMIN
from cms.checks.messages import Problem, error, warning
from cms.checks.registry import register

if TYPE_CHECKING:
    from flask import Flask

    from config import Config

FLAGS = ("Secure", "HttpOnly", "SameSite=Lax", "Path=/")


@register("accounts", deploy=True)
def check_cookie(app: Flask) -> list[Problem]:
    """accounts.E001: scripts, the network or other hosts can read the cookie of a session, or set it."""
    with app.test_request_context("/"):
        set_cookie(answer := Response(), "secret", SESSION)
    name, _, flags = answer.headers["Set-Cookie"].partition("=")
    lacking = [flag for flag in FLAGS if flag not in flags.split("; ")]
    lacking += [] if name.startswith("__Host-") else ["a name that begins with __Host-"]
    if not lacking:
        return []
    cure = "serve the site by https and set SITE_URL to that address"
    return [error("accounts.E001", f"the cookie lacks {', '.join(lacking)}", hint=cure)]


@register("accounts", deploy=True)
def check_second_factor(config: Config) -> list[Problem]:
    """accounts.W002: a password alone opens the administration."""
    if ADMIN in config.SECOND_FACTOR_ROLES:
        return []
    cure = "set SECOND_FACTOR_ROLES=admin, or admin,editor; each sets theirs up at the next sign-in"
    return [warning("accounts.W002", "no second factor is asked of administrators", hint=cure)]
