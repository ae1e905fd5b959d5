"""Providers that are slow, gone, broken or lying: nobody is signed in, and a page says so."""

from __future__ import annotations

import hmac
import json
import logging
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Event
from time import monotonic, time
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from joserfc import jwt
from werkzeug.test import TestResponse

from cms.accounts import asking, openid
from cms.accounts.asking import ask_json
from cms.accounts.errors import ProviderFailed
from cms.accounts.identities import checked_email, provider_id_of
from cms.accounts.models import User, UserSession
from cms.extensions import db, transaction
from tests.accounts.provider import Provider, rsa_key, say
from tests.accounts.travels import come_back, leave, travel
from tests.people import add_person
from tests.site import running, settings_for

NOT_JSON = (b"", b"<html>", b"\xff\xfe", b"[" * 20_000, b"{", b"9" * 5000, b"x" * 600_000)
NONSENSE = (*NOT_JSON, b"null", b"[]", b"1", b'"x"', b"{}", b"NaN")
KEY = rsa_key().as_dict(private=False)


@pytest.fixture
def app(migrated_sqlite_url: str, tmp_path: Path, provider: Provider) -> Iterator[Flask]:
    """Return a site on which the provider opens Cleo's account, as long as it says the right things."""
    with running(settings_for(migrated_sqlite_url, tmp_path, **provider.settings)) as made:
        add_person(made, "cleo", "author")
        with made.app_context(), transaction() as session:
            session.execute(sa.update(User).values(auth_provider="oidc", provider_id=f"{provider.url} 4711"))
        yield made


def is_refused(app: Flask, answer: TestResponse) -> bool:
    with app.app_context():
        sessions = db.session.scalar(sa.select(sa.func.count()).select_from(UserSession))
    return answer.status_code == 422 and "<h1>Not signed in with" in answer.text and sessions == 0


# --- what it signs --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://evil.example"}, {"iss": None}, {"iss": ["x"]},
        {"aud": "another site"}, {"aud": ["another site"]}, {"aud": None},
        {"aud": "another site", "azp": "cms"}, {"aud": ["cms", "another"], "azp": "another"},
        {"aud": ["cms", "another"]}, {"azp": "another"},
        {"nonce": "another"}, {"nonce": None}, {"nonce": 1},
        {"exp": 1}, {"exp": int(time()) - 61}, {"exp": None}, {"exp": "soon"}, {"iat": None},
        {"iat": int(time()) + 3600},
        {"nbf": int(time()) + 3600},
        {"sub": None}, {"sub": ""}, {"sub": 4711}, {"sub": "4711\x00"}, {"sub": "é"}, {"sub": "4" * 256},
        {"sub": "4 7"},
        {"sub": "4" * 250}, {"sub": {}}, {"at_hash": "x"}, {"at_hash": 1},
    ],
)  # fmt: skip
def test_a_proof_for_another_site_or_attempt_is_refused(
    app: Flask, provider: Provider, client: FlaskClient, claims: dict[str, Any]
):
    provider.claims = claims
    assert is_refused(app, travel(client, provider))


def as_text(part: bytes) -> str:
    return urlsafe_b64encode(part).decode().rstrip("=")


def unsigned(claims: dict[str, Any], algorithm: str = "none") -> str:
    header = {"alg": algorithm, "typ": "JWT", "kid": "first"}
    return ".".join(as_text(json.dumps(part).encode()) for part in (header, claims)) + "."


def by_public_key(claims: dict[str, Any]) -> str:
    """Sign with what everybody knows, as if it were a shared secret."""
    text = unsigned(claims, "HS256").removesuffix(".")
    return f"{text}.{as_text(hmac.digest(rsa_key().as_pem(private=False), text.encode(), 'sha256'))}"


def signed(key: str, kid: str | None) -> Callable[[dict[str, Any]], str]:
    header = {"alg": "RS256"} | ({"kid": kid} if kid else {})
    return lambda claims: jwt.encode(header, claims, rsa_key(key))


def changed(claims: dict[str, Any]) -> str:
    """Sign for somebody else, and put these claims in place of theirs."""
    head, _, signature = signed("first", "first")({**claims, "sub": "1"}).split(".")
    return f"{head}.{unsigned(claims).split('.')[1]}.{signature}"


@pytest.mark.parametrize(
    "sign",
    [unsigned, by_public_key, signed("second", "first"), signed("second", "second"), signed("second", None), changed],
)
def test_a_proof_that_the_provider_did_not_sign_is_refused(
    app: Flask, provider: Provider, client: FlaskClient, sign: Callable[[dict[str, Any]], str]
):
    provider.sign = sign
    assert is_refused(app, travel(client, provider))


@pytest.mark.parametrize("proof", ["", "x", "..", "a.b.c", "a.b.c.d.e", "é.é.é", "\x00", "x" * 100_000])
def test_what_is_no_proof_is_refused(app: Flask, provider: Provider, client: FlaskClient, proof: str):
    provider.sign = lambda _: proof
    assert is_refused(app, travel(client, provider))


def test_another_key_counts_as_soon_as_the_provider_names_it(app: Flask, provider: Provider, client: FlaskClient):
    provider.sign = signed("second", "second")
    provider.answers["/keys"] = say({"keys": [KEY, rsa_key("second").as_dict(private=False)]})
    assert travel(client, provider).location == "/account/"


# --- what it answers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/token", "/keys", "/.well-known/openid-configuration"])
def test_nonsense_in_place_of_an_answer_is_refused(app: Flask, provider: Provider, path: str):
    for number, content in enumerate(NONSENSE):
        app.extensions[openid.METADATA].clear()
        provider.answers = {path: say(content)} if "well-known" in path else {}
        client = app.test_client()
        if "well-known" in path:
            answer = client.post("/account/elsewhere/oidc/begin")
        else:
            back = provider.consent(leave(client))
            provider.answers = {path: say(content)}
            answer = come_back(client, back)
        assert is_refused(app, answer), (number, content[:50])


@pytest.mark.parametrize("status", [201 + 99, 302, 400, 401, 403, 404, 429, 500, 503])
def test_a_refusal_of_the_provider_is_one_of_ours(app: Flask, provider: Provider, client: FlaskClient, status: int):
    back = provider.consent(leave(client))
    provider.answers["/token"] = say({"error": "x"}, status=status, Location=f"{provider.url}/keys")
    assert is_refused(app, come_back(client, back))
    assert "/keys" not in provider.asked


@pytest.mark.parametrize(
    "token",
    [
        {"access_token": 1}, {"access_token": None}, {"access_token": "x"}, {"access_token": "x", "id_token": None},
        {"access_token": "x", "id_token": {}}, {"access_token": "x", "id_token": ["a"]}, {"error": {"a": "b"}},
    ],
)  # fmt: skip
def test_tokens_that_are_none_are_refused(app: Flask, provider: Provider, client: FlaskClient, token: dict[str, Any]):
    back = provider.consent(leave(client))
    provider.answers["/token"] = say(token)
    assert is_refused(app, come_back(client, back))


@pytest.mark.parametrize(
    "keys",
    [
        {"keys": []}, {"keys": None}, {"keys": {}}, {"keys": "x"}, {"keys": [1]}, {"keys": [None]}, {"keys": [{}]},
        {"keys": [{"kty": "RSA"}]}, {"keys": [{"kty": []}]}, {"keys": [{"kty": "oct", "k": "x", "kid": "first"}]},
        {"keys": [{**KEY, "n": 1}]}, {"keys": [{**KEY, "n": "!"}]}, {"keys": [{**KEY, "n": "AQ", "e": "AQ"}]},
        {"keys": [{**KEY, "kid": []}]}, {"keys": [{**KEY, "use": "enc"}]}, {"keys": [{"kty": "EC", "crv": "x"}]},
    ],
)  # fmt: skip
def test_keys_that_are_none_are_refused(app: Flask, provider: Provider, client: FlaskClient, keys: dict[str, Any]):
    back = provider.consent(leave(client))
    provider.answers["/keys"] = say(keys)
    assert is_refused(app, come_back(client, back))


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://evil.example"}, {"issuer": None}, {"authorization_endpoint": None},
        {"authorization_endpoint": "javascript:alert(1)"}, {"authorization_endpoint": "http://evil.example/authorize"},
        {"authorization_endpoint": "https://["}, {"authorization_endpoint": "https://x/?a=%zz&\x00"},
        {"token_endpoint": "file:///etc/passwd"}, {"token_endpoint": 1}, {"jwks_uri": "ftp://x"}, {"jwks_uri": []},
        {"userinfo_endpoint": "http://169.254.169.254/"},
    ],
)  # fmt: skip
def test_what_a_provider_says_of_itself_has_to_fit(
    app: Flask, provider: Provider, client: FlaskClient, metadata: dict[str, Any]
):
    provider.metadata = metadata
    assert is_refused(app, client.post("/account/elsewhere/oidc/begin"))


@pytest.mark.parametrize("issuer", ["https://evil.example", "x", "é"])
def test_an_answer_in_the_name_of_another_provider_is_refused(
    app: Flask, provider: Provider, client: FlaskClient, issuer: str
):
    assert is_refused(app, come_back(client, {**provider.consent(leave(client)), "iss": issuer}))
    assert come_back(client, {**provider.consent(leave(client)), "iss": provider.url}).status_code == 303


def test_a_provider_may_take_the_secret_in_the_body(app: Flask, provider: Provider, client: FlaskClient):
    provider.metadata = {"token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"]}
    assert travel(client, provider).location == "/account/"


@pytest.mark.parametrize(
    ("more", "found"), [(None, 1), ({"sub": "1", "email": "cleo@example.org"}, 0), ([], 0), ("x", 0)]
)
def test_the_address_may_come_from_where_the_provider_tells_more(
    app: Flask, provider: Provider, client: FlaskClient, more: object, found: int
):
    provider.user = {"sub": "0815"}
    provider.metadata = {"userinfo_endpoint": f"{provider.url}/userinfo"}
    if more is not None:
        provider.answers["/userinfo"] = say(more)
    assert travel(client, provider).location == "/account/elsewhere/unknown"
    assert ("cleo@example.org" in client.get("/account/elsewhere/unknown").text) == bool(found)


@pytest.mark.parametrize("content", [*NONSENSE, b'{"id": 0}', b'{"id": true}', b'{"id": "4711"}', b'{"id": -1}'])
def test_nonsense_of_github_is_refused(app: Flask, provider: Provider, client: FlaskClient, content: bytes):
    back = provider.consent(leave(client, "github"))
    provider.answers["/api/v3/user"] = say(content)
    assert is_refused(app, come_back(client, back, "github"))


@pytest.mark.parametrize(
    "told",
    [
        {}, [], [1], [{"email": "cleo@example.org", "primary": True, "verified": False}],
        [{"email": "cleo@example.org", "primary": 1, "verified": 1}],
        [{"primary": True, "verified": True, "email": []}],
    ],
)  # fmt: skip
def test_an_address_that_github_does_not_vouch_for_is_none(
    app: Flask, provider: Provider, client: FlaskClient, told: object
):
    provider.answers["/api/v3/user/emails"] = say(told)
    assert travel(client, provider, "github").location == "/account/elsewhere/unknown"
    assert "cleo@example.org" not in client.get("/account/elsewhere/unknown").text


# --- when it does not answer ----------------------------------------------------------------------------------------


def test_a_provider_that_is_gone_is_asked_again_after_a_while(
    app: Flask, provider: Provider, client: FlaskClient, caplog: pytest.LogCaptureFixture
):
    app.config["OIDC_ISSUER"] = "http://127.0.0.1:1"
    with caplog.at_level(logging.WARNING, "cms"):
        assert is_refused(app, client.post("/account/elsewhere/oidc/begin"))
    assert "http://127.0.0.1:1/.well-known/openid-configuration: " in caplog.text
    until, failed = app.extensions[openid.METADATA]["http://127.0.0.1:1"]
    assert isinstance(failed, ProviderFailed)
    assert 0 < until - monotonic() <= openid.AWAY_S
    assert "sign in another way" in client.post("/account/elsewhere/oidc/begin").text.lower()
    app.extensions[openid.METADATA]["http://127.0.0.1:1"] = (0.0, failed)
    assert is_refused(app, client.post("/account/elsewhere/oidc/begin"))
    assert app.extensions[openid.METADATA]["http://127.0.0.1:1"][1] is not failed


def test_what_a_provider_says_of_itself_is_asked_once(app: Flask, provider: Provider, client: FlaskClient):
    for _ in range(3):
        travel(client, provider)
    assert provider.asked.count("/.well-known/openid-configuration") == 1


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for nobody as long as a site does."""
    monkeypatch.setattr(asking, "PAUSE_S", 0.1)
    monkeypatch.setattr(asking, "WITHIN_S", 0.3)


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("sends", ["nothing", "header by header", "byte by byte"])
def test_a_provider_that_never_comes_to_an_end_is_let_go(app: Flask, provider: Provider, sends: str):
    is_over = Event()

    def dawdle(handler: BaseHTTPRequestHandler) -> None:
        """Send something every 50 ms until the test is over."""
        if sends == "byte by byte":
            handler.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Length: 99999\r\n\r\n")
        while not is_over.wait(0.05):
            if sends != "nothing":
                handler.wfile.write(b"x: y\r\n" if sends == "header by header" else b" ")

    def until_over(handler: BaseHTTPRequestHandler) -> None:
        try:
            if sends == "header by header":
                handler.wfile.write(b"HTTP/1.0 200 OK\r\n")
            dawdle(handler)
        except OSError:
            pass  # whoever asked has hung up

    client = app.test_client()
    back = provider.consent(leave(client))
    provider.answers["/token"] = until_over
    begun = monotonic()
    try:
        assert is_refused(app, come_back(client, back))
        assert monotonic() - begun < 3
    finally:
        is_over.set()


@pytest.mark.parametrize("status", [201, 204, 301, 302, 307, 308, 400, 404, 429, 500, 503])
def test_no_other_status_than_200_is_an_answer_and_no_redirect_is_followed(provider: Provider, status: int):
    provider.answers["/there"] = say({"a": 1}, status=status, Location=f"{provider.url}/keys")
    with pytest.raises(ProviderFailed):
        ask_json(f"{provider.url}/there")
    assert provider.asked == ["/there"]


@pytest.mark.parametrize(("length", "fits"), [(asking.LONGEST_ANSWER, 1), (asking.LONGEST_ANSWER + 1, 0)])
def test_an_answer_has_its_limit(provider: Provider, length: int, fits: int):
    provider.answers["/long"] = say(b"1".rjust(length))
    if fits:
        assert ask_json(f"{provider.url}/long") == 1
    else:
        with pytest.raises(ProviderFailed):
            ask_json(f"{provider.url}/long")


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://x/", "data:,1", "x", "", "http://[", "http://a b/"])
def test_nothing_but_http_is_spoken(url: str):
    with pytest.raises(ProviderFailed):
        ask_json(url)


def test_what_an_account_cannot_keep_is_refused():
    assert provider_id_of("https://a.example", "1") == "https://a.example 1"
    assert checked_email("cleo@example.org") == "cleo@example.org"
    for given in (
        None,
        1,
        "",
        "x",
        "a@b@c",
        "a@b\r\nBcc: c@d",
        "a@b\x00",
        "é" * 300 + "@example.org",
        "\ud800@b.example",
    ):
        assert checked_email(given) is None
