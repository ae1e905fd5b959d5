"""How many changes one person's programs may send in a minute, and the headers that say how many are left.

Source: draft-ietf-httpapi-ratelimit-headers-10. What only reads is not counted: it would cost a write.
"""

from __future__ import annotations

from datetime import timedelta

from flask import Flask, Response, current_app, g

from cms.accounts.current import count_or_refuse, get_current
from cms.accounts.limits import Limit

WINDOW = timedelta(minutes=1)


def init_app(app: Flask) -> None:
    app.after_request(say_what_is_left)


def count_change() -> None:
    """Count one change of whoever asks; 429 if that is too many."""
    limit = Limit("api-changes", current_app.config["API_CHANGES_PER_MIN"], WINDOW)
    g.api_count = count_or_refuse((limit, str(get_current().id)))[0]


def say_what_is_left(response: Response) -> Response:
    """Say how many changes are left, on the answers to changes."""
    if (count := g.get("api_count")) is not None:
        seconds = int(WINDOW.total_seconds())
        response.headers["RateLimit-Policy"] = f'"changes";q={count.limit.times};w={seconds}'
        response.headers["RateLimit"] = f'"changes";r={count.remaining};t={count.ends_in_s}'
    return response
