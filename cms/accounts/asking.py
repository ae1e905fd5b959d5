"""Questions to a provider: what comes back is JSON, soon, and not much of it. Otherwise ProviderFailed says so."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from time import monotonic
from typing import Any
from urllib.request import (
    HTTPHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
    UnknownHandler,
)

from cms.accounts.errors import ProviderFailed

PAUSE_S = 3.0  # to connect, and between two parts of an answer
WITHIN_S = 6.0  # from the question to the end of the answer, names looked up included
LONGEST_ANSWER = 500_000
OK = 200
# Whoever waits is let go in time; a question that hangs holds one of these places, and never the site's threads.
PLACES = ThreadPoolExecutor(4, "provider")


def make_opener() -> OpenerDirector:
    """Return what speaks http and https, through the system's proxy, and goes where no redirect would send it."""
    opener = OpenerDirector()
    for kind in (ProxyHandler, UnknownHandler, HTTPHandler, HTTPSHandler):
        opener.add_handler(kind())
    return opener


def ask_json(url: str, *, body: str | None = None, headers: Mapping[str, str] | None = None) -> Any:  # Any: JSON
    """Return the JSON at an address, after a POST if there is a body. Raises ProviderFailed."""
    sent = {"Accept": "application/json", "User-Agent": "cms", **(headers or {})}
    answer = None
    try:
        request = Request(url, data=body.encode() if body else None, headers=sent)  # noqa: S310 - http(s) alone opens
        answer = PLACES.submit(read, request, monotonic() + WITHIN_S)
        return json.loads(answer.result(WITHIN_S))
    except TimeoutError as error:
        raise ProviderFailed("it did not answer in time", why=f"{url} took more than {WITHIN_S:g} s") from error
    except (OSError, HTTPException) as error:
        raise ProviderFailed("it did not answer as it should", why=f"{url}: {error}") from error
    except (ValueError, RecursionError) as error:
        raise ProviderFailed("its answer makes no sense", why=f"{url}: {error}") from error
    finally:
        if answer:
            answer.cancel()


def read(request: Request, until: float) -> bytes:
    """Return the body of an answer. Raises OSError, HTTPException; ValueError if it is too long."""
    body = b""
    with make_opener().open(request, timeout=PAUSE_S) as answer:
        if answer.status != OK:
            raise HTTPException(f"status {answer.status}")
        while part := answer.read1(65_536):
            body += part
            if len(body) > LONGEST_ANSWER:
                raise ValueError(f"it has more than {LONGEST_ANSWER} bytes")
            if monotonic() > until:
                raise TimeoutError
    return body
