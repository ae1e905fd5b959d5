"""Checks of how people show who they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Response

from cms.accounts.current import SESSION, set_cookie
from cms.accounts.errors import ProviderFailed
from cms.accounts.openid import ask_for_metadata
from cms.accounts.permissions import ADMIN
from cms.accounts.providers import GITHUB, NEEDED, list_providers
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


@register("accounts", deploy=True)
def check_providers(config: Config) -> list[Problem]:
    """accounts.E003: a provider to sign in with has not all of its settings, so it is not offered."""
    settings = vars(config)
    half = {key: [name for name in names if not settings[name]] for key, names in NEEDED.items()}
    lacking = [name for key, names in half.items() if 0 < len(names) < len(NEEDED[key]) for name in names]
    if not lacking:
        return []
    cure = "set the rest, or unset all of that provider"
    return [error("accounts.E003", f"unset: {', '.join(lacking)}", hint=cure)]


@register("accounts", deploy=True)
def check_callbacks(config: Config) -> list[Problem]:
    """accounts.E004: providers send people back unencrypted, with what signs them in."""
    providers = list_providers(vars(config))
    if not providers or config.SITE_URL.startswith("https://"):
        return []
    text = f"{', '.join(each.title for each in providers)}: people come back to {config.SITE_URL}"
    return [error("accounts.E004", text, hint="serve the site by https and set SITE_URL to that address")]


@register("accounts", deploy=True)
def check_provider_answers(config: Config) -> list[Problem]:
    """accounts.W005: a provider does not answer, or is not who the setting says."""
    problems = []
    for provider in (each for each in list_providers(vars(config)) if each.key != GITHUB):
        try:
            ask_for_metadata(provider.issuer)
        except ProviderFailed as failed:
            text, cure = (
                f"{provider.title}: {failed.what}",
                "is it reachable from here, and OIDC_ISSUER as it writes it?",
            )
            problems.append(warning("accounts.W005", text, why=failed.why, hint=cure))
    return problems
