"""Counting tries: exact for many at once, ending by itself, per account and per network."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask
from werkzeug.exceptions import TooManyRequests

from cms.accounts.current import address_of_request, count_or_refuse
from cms.accounts.limits import Limit, count_try, forget_tries, prune_limits
from cms.accounts.models import RateLimit
from cms.extensions import db, transaction
from tests.site import NOON

THREE = Limit("three", 3, timedelta(minutes=5))
MINUTE = timedelta(minutes=1)


@pytest.fixture
def _context(app: Flask) -> Iterator[None]:
    with app.app_context():
        yield


@pytest.mark.usefixtures("_context")
def test_a_limit_says_how_long_to_wait_and_ends_by_itself():
    with transaction() as session:
        waits = [count_try(session, THREE, "Ada", at=NOON + MINUTE * number).wait_s for number in range(7)]
        assert waits == [0, 0, 0, 120, 60, 0, 0]


@pytest.mark.usefixtures("_context")
def test_each_is_counted_alone_and_by_name_whatever_the_case():
    with transaction() as session:
        for _ in range(3):
            count_try(session, THREE, "ada", at=NOON)
        assert count_try(session, THREE, "ben", at=NOON).wait_s == 0
        assert count_try(session, THREE, "ADA", at=NOON).wait_s > 0
        forget_tries(session, THREE, "ada")
        assert count_try(session, THREE, "ada", at=NOON).wait_s == 0


@pytest.mark.usefixtures("_context")
def test_who_is_counted_cannot_be_read_from_the_table_and_what_is_over_goes():
    with transaction() as session:
        count_try(session, THREE, "ada", at=NOON)
        count_try(session, THREE, "ben", at=NOON + MINUTE * 9)
        assert "ada" not in " ".join(session.scalars(sa.select(RateLimit.key)))
        assert prune_limits(session, at=NOON + MINUTE * 6) == 1
        assert prune_limits(session, at=NOON + MINUTE * 6) == 0


def test_of_eight_at_once_as_many_pass_as_may(app: Flask):
    def attempt(_number: int) -> int:
        with app.app_context(), transaction() as session:
            return count_try(session, THREE, "ada", at=NOON).wait_s

    with ThreadPoolExecutor(8) as threads:
        assert sorted(threads.map(attempt, range(8)))[:4] == [0, 0, 0, 300]


def test_a_refusal_is_counted_too_and_says_when_to_go_on(app: Flask):
    once = Limit("once", 1, timedelta(minutes=5))
    with app.test_request_context("/"):
        count_or_refuse((once, "ada"), (THREE, "here"))
        with pytest.raises(TooManyRequests) as refused:
            count_or_refuse((once, "ada"), (THREE, "here"))
        assert 290 < refused.value.retry_after <= 300
        assert db.session.scalar(sa.select(sa.func.max(RateLimit.count))) == 2


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2::7", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("", "unknown"),
    ],
)
def test_one_customer_of_a_network_is_one(sqlite_app: Flask, address: str, network: str):
    with sqlite_app.test_request_context("/", environ_base={"REMOTE_ADDR": address}):
        assert address_of_request() == network
