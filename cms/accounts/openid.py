"""Signing in with a provider of OpenID Connect: where to send people, and who they are when they come back.

Source: OpenID Connect Core 1.0, Discovery 1.0; RFC 9700 for what OAuth 2.0 has to look out for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any

from flask import Flask, current_app

from cms.accounts.asking import ask_json
from cms.accounts.errors import ProviderFailed
from cms.accounts.identities import Attempt, Identity, checked_email, provider_id_of
from cms.accounts.providers import Provider

METADATA = "cms.accounts.metadata"
KEPT_S, AWAY_S = 600.0, 10.0
LEEWAY_S = 60
ADDRESS = re.compile(r"[!-~]{1,2000}")
SCOPE = "openid email profile"
# Those of key pairs. Without "none", and without HMAC, for which a public key would be the secret.
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"]
SECRET_IN_BODY, SECRET_IN_HEADER = "client_secret_post", "client_secret_basic"


def init_app(app: Flask) -> None:
    """Begin with knowing no provider."""
    app.extensions[METADATA] = {}


@dataclass(frozen=True)
class Metadata:
    """What a provider says of itself: its addresses, and how it takes this site's secret."""

    issuer: str
    authorization: str
    token: str
    keys: str
    userinfo: str | None
    auth_method: str


def address_to_go_to(provider: Provider, attempt: Attempt) -> str:
    """Return where the browser goes to sign in. Raises ProviderFailed."""
    from authlib.oauth2.rfc6749.parameters import prepare_grant_uri  # noqa: PLC0415 - no page of a reader needs it

    url = find_metadata(provider).authorization
    try:
        return prepare_grant_uri(
            url, provider.client_id, "code", attempt.redirect_uri, SCOPE, attempt.state,
            nonce=attempt.nonce, code_challenge=attempt.challenge, code_challenge_method="S256",
        )  # fmt: skip
    except ValueError as error:
        raise ProviderFailed("its answer makes no sense", why=f"{url!r:.200} is no address: {error}") from error


def identify(provider: Provider, attempt: Attempt, code: str) -> Identity:
    """Return whose code it is. Raises ProviderFailed for a code, or a proof, that is not right."""
    metadata = find_metadata(provider)
    answer = ask_for_token(provider, attempt, code, url=metadata.token, method=metadata.auth_method)
    claims = read_claims(provider, metadata, attempt, answer)
    if not claims.get("email") and metadata.userinfo:
        more = ask_json(metadata.userinfo, headers={"Authorization": f"Bearer {answer['access_token']}"})
        if isinstance(more, dict) and more.get("sub") == claims["sub"]:
            claims |= more
    return Identity(
        provider=provider.key,
        place=provider.title,
        provider_id=provider_id_of(metadata.issuer, claims["sub"]),
        email=checked_email(claims.get("email")),
        is_confirmed=claims.get("email_verified") in (True, "true"),  # a word, with some
        username=str(claims.get("preferred_username") or ""),
    )


def ask_for_token(
    provider: Provider, attempt: Attempt, code: str, *, url: str, method: str
) -> dict[str, Any]:  # Any: JSON
    """Give the code back for tokens. Raises ProviderFailed."""
    from authlib.oauth2.auth import ClientAuth  # noqa: PLC0415
    from authlib.oauth2.rfc6749.parameters import prepare_token_request  # noqa: PLC0415

    body = prepare_token_request(
        "authorization_code", redirect_uri=attempt.redirect_uri, code=code, code_verifier=attempt.verifier
    )
    auth = ClientAuth(provider.client_id, provider.client_secret, method)
    url, headers, body = auth.prepare("POST", url, {"Content-Type": "application/x-www-form-urlencoded"}, body)
    answer = ask_json(url, body=body, headers=headers)
    if not isinstance(answer, dict) or not isinstance(answer.get("access_token"), str):
        reason = answer.get("error") if isinstance(answer, dict) else "no object"
        raise ProviderFailed("it did not take its own answer back", why=f"{url}: {reason}")
    return answer


def read_claims(provider: Provider, metadata: Metadata, attempt: Attempt, answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the provider signed about somebody, if it is for this site and attempt. Raises ProviderFailed."""
    from authlib.oidc.core import CodeIDToken  # noqa: PLC0415
    from joserfc import jwt  # noqa: PLC0415
    from joserfc.errors import JoseError  # noqa: PLC0415
    from joserfc.jwk import KeySet  # noqa: PLC0415
    from joserfc.jws import JWSRegistry  # noqa: PLC0415

    keys = ask_json(metadata.keys)
    wanted: dict[str, Any] = {
        "iss": {"essential": True, "value": metadata.issuer},
        "aud": {"essential": True, "value": provider.client_id},
    }
    known = {"nonce": attempt.nonce, "client_id": provider.client_id, "access_token": answer["access_token"]}
    try:
        # Other fields of the header than the standard's are the provider's business.
        registry = JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)
        token = jwt.decode(str(answer.get("id_token")), KeySet.import_key_set(keys), registry=registry)
        claims = CodeIDToken(token.claims, token.header, wanted, known)
        claims.validate(leeway=LEEWAY_S)
    except (JoseError, ValueError, TypeError, LookupError, AttributeError) as error:  # the last four by nonsense
        raise ProviderFailed("its proof is not right", why=f"{type(error).__name__}: {error}") from error
    return dict(claims)


def find_metadata(provider: Provider) -> Metadata:
    """Return what the provider says of itself, at most 10 minutes old. Raises ProviderFailed, for 10 s the same."""
    known: dict[str, tuple[float, Metadata | ProviderFailed]] = current_app.extensions[METADATA]
    until, found = known.get(provider.issuer, (0.0, None))
    if found is None or monotonic() > until:
        try:
            found = ask_for_metadata(provider.issuer)
        except ProviderFailed as failed:
            found = failed
        known[provider.issuer] = (monotonic() + (KEPT_S if isinstance(found, Metadata) else AWAY_S), found)
    if isinstance(found, ProviderFailed):
        raise ProviderFailed(found.what, why=found.why)
    return found


def ask_for_metadata(issuer: str) -> Metadata:
    """Return what a provider says of itself. Raises ProviderFailed, also if it goes by another name."""
    url = f"{issuer}/.well-known/openid-configuration"
    told = ask_json(url)
    if not isinstance(told, dict) or str(told.get("issuer")).rstrip("/") != issuer:
        raise ProviderFailed("it goes by another name than the one that this site knows", why=url)
    addresses = [told.get(name) for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")]
    userinfo = told.get("userinfo_endpoint")
    for address in [*addresses, userinfo] if userinfo else addresses:
        text = address if isinstance(address, str) else ""
        if not ADDRESS.fullmatch(text) or not text.startswith(("https://", f"{issuer}/")):
            raise ProviderFailed("its answer makes no sense", why=f"{url} names {address!r:.200}")
    authorization, token, keys = map(str, addresses)
    methods = told.get("token_endpoint_auth_methods_supported") or [SECRET_IN_HEADER]
    is_in_body = SECRET_IN_HEADER not in methods and SECRET_IN_BODY in methods
    method = SECRET_IN_BODY if is_in_body else SECRET_IN_HEADER
    return Metadata(told["issuer"], authorization, token, keys, userinfo=userinfo or None, auth_method=method)
