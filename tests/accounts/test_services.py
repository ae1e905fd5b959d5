"""Making accounts."""

from __future__ import annotations

from typing import Any

import pytest

from cms.accounts.services import AccountExists, AccountInvalid, create_user, find_or_create_author
from cms.extensions import transaction
from tests.site import NOON, PASSWORD, Site

CLEO = {"username": "cleo", "email": "cleo@example.org", "password": PASSWORD}


@pytest.fixture(autouse=True)
def _context(site: Site):
    with site.app.app_context():
        yield


def test_a_password_is_stored_as_an_argon2id_hash_of_the_agreed_strength():
    with transaction() as session:
        user = create_user(session, **CLEO, at=NOON)
        assert user.password_hash.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
        assert PASSWORD not in user.password_hash


def test_an_account_without_a_password_has_none():
    with transaction() as session:
        assert create_user(session, **{**CLEO, "password": None}, at=NOON).password_hash is None


@pytest.mark.parametrize("taken", [{"username": "Ada"}, {"username": "ada"}, {"email": "ADA@example.org"}])
def test_an_account_that_exists_is_not_made_again(taken: dict[str, Any]):
    with pytest.raises(AccountExists), transaction() as session:
        create_user(session, **{**CLEO, **taken}, at=NOON)


@pytest.mark.parametrize(
    "wrong",
    [
        {"username": ""}, {"username": "a" * 51}, {"username": "a b"}, {"username": "é"}, {"username": "."},
        {"username": "a\n"}, {"email": "cleo"}, {"email": "a@b@c"}, {"email": "<a@b>"},
        {"email": "a" * 250 + "@b.org"}, {"email": "a@b\x00"}, {"password": "short"}, {"password": "x" * 1001},
        {"first_name": "x" * 101}, {"last_name": "a\x00"},
    ],
)  # fmt: skip
def test_what_cannot_be_an_account_is_refused(wrong: dict[str, Any]):
    with pytest.raises(AccountInvalid), transaction() as session:
        create_user(session, **{**CLEO, **wrong}, at=NOON)


def test_a_refusal_never_repeats_the_password():
    with pytest.raises(AccountInvalid) as refused, transaction() as session:
        create_user(session, **{**CLEO, "password": "hunter2"}, at=NOON)
    assert "hunter2" not in str(refused.value)


def test_an_imported_author_gets_an_account_that_nobody_can_use():
    with transaction() as session:
        author = find_or_create_author(session, "dora", display_name="Dora  van Gelder", at=NOON)
        assert (author.email, author.role, author.password_hash) == ("dora@import.invalid", "author", None)
        assert author.display_name == "Dora van Gelder"


@pytest.mark.parametrize("username", ["ada", "Ada"])
def test_an_imported_author_who_has_an_account_keeps_it(site: Site, username: str):
    with transaction() as session:
        assert find_or_create_author(session, username, display_name="Somebody", at=NOON).uuid == site.ada.uuid
