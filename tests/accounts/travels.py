"""Going to a provider and back, as a browser does it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html import unescape

import pyotp
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cms.accounts.models import SecondFactor, User
from cms.accounts.sealing import seal
from cms.accounts.second_factor import purpose
from cms.extensions import db, transaction
from tests.accounts.provider import Provider

APP = pyotp.TOTP("JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP")


def leave(client: FlaskClient, key: str = "oidc", **fields: str) -> str:
    """Begin to sign in elsewhere and return the address that the page leads to."""
    page = client.post(f"/account/elsewhere/{key}/begin", data=fields)
    return address_in(page)


def address_in(page: TestResponse) -> str:
    assert page.status_code == 200, page.text
    return unescape(re.search(r'http-equiv="refresh" content="0; url=([^"]+)"', page.text)[1])


def come_back(client: FlaskClient, answer: dict[str, str], key: str = "oidc") -> TestResponse:
    """Return from the provider, and press the button of the page."""
    page = client.get(f"/account/elsewhere/{key}/callback", query_string=answer)
    assert page.status_code == 200, page.text
    shown = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.text))
    return client.post(f"/account/elsewhere/{key}/callback", data={k: unescape(v) for k, v in shown.items()})


def travel(client: FlaskClient, provider: Provider, key: str = "oidc", **fields: str) -> TestResponse:
    return come_back(client, provider.consent(leave(client, key, **fields)), key)


def connected(app: Flask, user: User, provider_id: str, place: str = "oidc") -> None:
    with app.app_context(), transaction() as session:
        named = {"auth_provider": place, "provider_id": provider_id}
        session.execute(sa.update(User).where(User.uuid == user.uuid).values(named))


def column(app: Flask, column: sa.ColumnElement) -> list:
    with app.app_context():
        return list(db.session.scalars(sa.select(column)))


def is_refused(answer: TestResponse) -> bool:
    return answer.status_code == 422 and "begun in another browser" in answer.text


def protect(app: Flask, user: User) -> None:
    with app.app_context(), transaction() as session:
        sealed = seal(APP.secret, about=purpose(user.uuid))
        session.add(SecondFactor(user_id=user.uuid, sealed_secret=sealed, last_step=0, created_at=datetime.now(UTC)))
