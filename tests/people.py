"""People in front of browsers, for tests of pages: signed in without typing a password each time."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from cms.accounts.current import csrf_token
from cms.accounts.models import ApiToken, User, UserSession
from cms.accounts.permissions import PERMISSIONS
from cms.accounts.services import create_user
from cms.accounts.sessions import Client, hash_secret, open_session
from cms.extensions import db, transaction
from tests.site import NOON

HERE = Client("Mozilla/5.0 (X11; Linux x86_64; rv:150.0) Gecko/20100101 Firefox/150.0", "192.0.2.7")


def add_person(app: Flask, username: str, role: str, *, password: str | None = None) -> User:
    """Store an account and return it."""
    with app.app_context(), transaction() as session:
        email = f"{username}@example.org"
        user = create_user(session, username=username, email=email, role=role, password=password, at=NOON)
        session.expunge(user)
    return user


class Visit:
    """A browser in which somebody is signed in; what it posts brings the token that our forms have."""

    def __init__(self, app: Flask, user: User, *, at: datetime | None = None) -> None:
        self.client: FlaskClient = app.test_client()
        with app.app_context():
            with transaction() as session:
                secret = open_session(session, user, client=HERE, at=at or datetime.now(UTC))
            self.token = csrf_token(
                db.session.scalar(select(UserSession.id).filter_by(secret_hash=hash_secret(secret)))
            )
        self.client.set_cookie("session", secret)

    def get(self, path: str, **kwargs: Any) -> TestResponse:  # Any: as the client takes them
        return self.client.get(path, **kwargs)

    def post(self, path: str, **fields: Any) -> TestResponse:  # Any: fields of a form
        return self.client.post(path, data={"csrf": self.token, **fields})


class Program:
    """A program that shows a token of somebody's, by default one for all that there is; it keeps no cookies."""

    def __init__(self, app: Flask, user: User, *, scopes: Iterable[str] = PERMISSIONS, days: int = 1) -> None:
        self.client: FlaskClient = app.test_client(use_cookies=False)
        self.shown = f"cms_{uuid4().hex[:8]}_{uuid4().hex}{'0' * 11}"
        at = datetime.now(UTC)
        row = ApiToken(
            user_id=user.uuid, name="program", prefix=self.shown[:12], secret_hash=hash_secret(self.shown),
            scopes=sorted(scopes), created_at=at, ends_at=at + timedelta(days=days),
        )  # fmt: skip
        with app.app_context(), transaction() as session:
            session.add(row)

    def open(self, path: str, method: str = "GET", **kwargs: Any) -> TestResponse:  # Any: as the client takes them
        headers = {"Authorization": f"Bearer {self.shown}", **kwargs.pop("headers", {})}
        return self.client.open(path, method=method, headers=headers, **kwargs)
