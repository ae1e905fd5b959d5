"""A provider to sign in with, in the test's own process: OpenID Connect as it should be, GitHub's way, and worse."""

from __future__ import annotations

import json
import secrets
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from time import time
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT_ID, CLIENT_SECRET = "cms", "between the two"


@cache
def rsa_key(name: str = "first") -> RSAKey:
    """Return a key pair; each name has another."""
    return RSAKey.generate_key(2048, {"kid": name, "use": "sig", "alg": "RS256"})


Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Provider:
    """What it says can be changed: ``claims`` of its proof, ``sign``, whole ``answers`` by path.

    user: what it knows about the person in front of it. asked: the paths that were asked for.
    """

    url: str = ""
    user: dict[str, Any] = field(
        default_factory=lambda: {"sub": "4711", "email": "cleo@example.org", "email_verified": True}
    )
    claims: dict[str, Any] = field(default_factory=dict)
    sign: Callable[[dict[str, Any]], str] = lambda claims: jwt.encode(
        {"alg": "RS256", "kid": "first"}, claims, rsa_key()
    )
    answers: dict[str, Answer] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def consent(self, address: str) -> dict[str, str]:
        """Let the person agree to what an address asks for, and return what their browser brings back."""
        asked = dict(parse_qsl(urlsplit(address).query))
        assert asked["response_type"] == "code"
        assert asked["client_id"] == CLIENT_ID
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked
        return {"code": code, "state": asked["state"]}

    def answer(self, handler: BaseHTTPRequestHandler, body: Mapping[str, str]) -> None:
        path, _, query = handler.path.partition("?")
        self.asked.append(path)
        if path in self.answers:
            self.answers[path](handler)
        elif path in {"/authorize", "/login/oauth/authorize"}:
            back = urlencode(self.consent(handler.path))
            send(handler, b"", status=302, Location=f"{dict(parse_qsl(query))['redirect_uri']}?{back}")
        else:
            told = self.told(path, handler, body)
            send(handler, json.dumps(told).encode(), status=404 if told is None else 200)

    def told(self, path: str, handler: BaseHTTPRequestHandler, body: Mapping[str, str]) -> object:
        """Return what an address of the provider tells."""
        if path == "/.well-known/openid-configuration":
            places = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys"}
            return {
                "issuer": self.url,
                **{name: f"{self.url}/{each}" for name, each in places.items()},
                **self.metadata,
            }
        if path == "/keys":
            return {"keys": [rsa_key().as_dict(private=False)]}
        if path in {"/token", "/login/oauth/access_token"}:
            return self.token(handler, body)
        return self.about_person().get(path) if handler.headers["Authorization"] == "Bearer token-1" else None

    def about_person(self) -> dict[str, object]:
        """Return what the addresses tell that want a token."""
        email = {"email": "cleo@example.org", "primary": True, "verified": True}
        return {
            "/userinfo": {"email": "cleo@example.org", "email_verified": True, "sub": self.user["sub"]},
            "/api/v3/user": {"id": 4711, "login": "cleo"},
            "/api/v3/user/emails": [{"email": "old@example.org", "primary": False, "verified": True}, email],
        }

    def token(self, handler: BaseHTTPRequestHandler, body: Mapping[str, str]) -> dict[str, Any]:
        """Return the tokens for a code: once, to whoever knows the secret and the verifier."""
        shown = handler.headers["Authorization"] or ""
        known = b64decode(shown.removeprefix("Basic ")).decode() if shown else ""
        is_ours = (known or f"{body.get('client_id')}:{body.get('client_secret')}") == f"{CLIENT_ID}:{CLIENT_SECRET}"
        asked = self.codes.pop(body["code"], None)
        hashed = urlsafe_b64encode(sha256(body.get("code_verifier", "").encode()).digest()).decode().rstrip("=")
        if not is_ours or asked is None or asked["code_challenge"] != hashed:
            return {"error": "invalid_grant"}
        if asked["redirect_uri"] != body["redirect_uri"]:
            return {"error": "invalid_request"}
        at = int(time())
        claims = {"iss": self.url, "aud": CLIENT_ID, "iat": at, "exp": at + 300, "nonce": asked.get("nonce")}
        claims |= {**self.user, **self.claims}
        proof = self.sign({name: value for name, value in claims.items() if value is not None})
        return {"access_token": "token-1", "token_type": "Bearer", "id_token": proof}

    @property
    def settings(self) -> dict[str, str]:
        """Return the settings of a site that knows this provider."""
        return {
            "OIDC_ISSUER": self.url, "OIDC_CLIENT_ID": CLIENT_ID, "OIDC_CLIENT_SECRET": CLIENT_SECRET,
            "OIDC_NAME": "the Lighthouse", "GITHUB_URL": self.url, "GITHUB_CLIENT_ID": CLIENT_ID,
            "GITHUB_CLIENT_SECRET": CLIENT_SECRET,
        }  # fmt: skip


def send(handler: BaseHTTPRequestHandler, content: bytes, *, status: int = 200, **headers: str) -> None:
    handler.send_response(status)
    for name, value in {"Content-Length": str(len(content)), **headers}.items():
        handler.send_header(name, quote(value, safe=":/?&=%"))
    handler.end_headers()
    handler.wfile.write(content)


def say(content: object, *, status: int = 200, **headers: str) -> Answer:
    """Return an answer to whatever is asked: bytes as they are, all else as JSON."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return lambda handler: send(handler, body, status=status, **headers)


@contextmanager
def open_provider() -> Iterator[Provider]:
    """Serve one on loopback."""
    provider = Provider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            provider.answer(self, {})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            provider.answer(self, dict(parse_qsl(body)))

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        provider.url = f"http://127.0.0.1:{server.server_port}"
        Thread(target=server.serve_forever, daemon=True).start()
        yield provider
        server.shutdown()
