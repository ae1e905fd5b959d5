"""Signing in with GitHub, or a GitHub Enterprise Server: OAuth 2.0, and two questions about whose token it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cms.accounts.asking import ask_json
from cms.accounts.errors import ProviderFailed
from cms.accounts.identities import Attempt, Identity, checked_email, provider_id_of
from cms.accounts.openid import SECRET_IN_BODY, ask_for_token
from cms.accounts.providers import GITHUB_ISSUER, Provider

SCOPE = "read:user user:email"


def address_to_go_to(provider: Provider, attempt: Attempt) -> str:
    """Return where the browser goes to sign in."""
    from authlib.oauth2.rfc6749.parameters import prepare_grant_uri  # noqa: PLC0415 - no page of a reader needs it

    url = f"{provider.issuer}/login/oauth/authorize"
    return prepare_grant_uri(
        url, provider.client_id, "code", attempt.redirect_uri, SCOPE, attempt.state,
        code_challenge=attempt.challenge, code_challenge_method="S256",
    )  # fmt: skip


def identify(provider: Provider, attempt: Attempt, code: str) -> Identity:
    """Return whose code it is. Raises ProviderFailed."""
    url = f"{provider.issuer}/login/oauth/access_token"
    answer = ask_for_token(provider, attempt, code, url=url, method=SECRET_IN_BODY)
    headers = {"Authorization": f"Bearer {answer['access_token']}"}
    api = "https://api.github.com" if provider.issuer == GITHUB_ISSUER else f"{provider.issuer}/api/v3"
    user = ask_json(f"{api}/user", headers=headers)
    if not isinstance(user, dict) or type(user.get("id")) is not int or user["id"] < 1:
        raise ProviderFailed("its answer makes no sense", why=f"{api}/user names nobody")
    email = next(confirmed_addresses(ask_json(f"{api}/user/emails", headers=headers)), None)
    return Identity(
        provider=provider.key,
        place=provider.title,
        provider_id=provider_id_of(provider.issuer, str(user["id"])),
        email=email,
        is_confirmed=email is not None,
        username=str(user.get("login") or ""),
    )


def confirmed_addresses(told: Any) -> Iterator[str]:  # Any: JSON
    """Yield the person's main address, if it is confirmed."""
    for each in told if isinstance(told, list) else []:
        is_main = isinstance(each, dict) and each.get("primary") is True and each.get("verified") is True
        if is_main and (email := checked_email(each.get("email"))):
            yield email
