"""Changes that may be sent again: a program that got no answer repeats the request with its Idempotency-Key, and gets
the answer to the first one. Key and answer are stored in the transaction of the change: all three are there, or none.

Source: draft-ietf-httpapi-idempotency-key-header-07.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from uuid import UUID

from flask import request
from sqlalchemy import delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from werkzeug.wrappers import Response

from cms.accounts.current import get_current
from cms.accounts.queries import AnySession
from cms.api.models import KeptAnswer
from cms.web.problems import Problem

KEPT_FOR = timedelta(hours=24)
KEY = re.compile(r"[\x21-\x7e]{1,255}")
HEADER, REPLAYED = "Idempotency-Key", "Idempotency-Replayed"
HEADERS = ("ETag", "Location")
BATCH = 1000


@dataclass(frozen=True)
class Repeatable:
    """A change that may come again. Both are hashes: of whose key it is, and of all that was sent."""

    key_hash: str
    request_hash: str
    user_id: UUID


def repeatable_of_request(*, is_secret: bool) -> Repeatable | None:
    """Return what the request says about being repeated, None if nothing. is_secret: its answer is kept nowhere."""
    key = request.headers.get(HEADER)
    if key is None:
        return None
    if is_secret or not KEY.fullmatch(key):
        why = "the answer to this is a secret, so it is kept nowhere" if is_secret else "1 to 255 visible characters"
        raise Problem(400, "bad-key", f"This request can have no such Idempotency-Key: {why}. Nothing was changed.")
    user_id = get_current().id
    sent = (request.method, request.full_path, request.headers.get("If-Match", ""), request.mimetype)
    digest = sha256("\0".join(sent).encode() + b"\0" + request.get_data())
    return Repeatable(sha256(f"{user_id}\0{key}".encode()).hexdigest(), digest.hexdigest(), user_id)


def find_kept(session: AnySession, this: Repeatable, *, at: datetime) -> Response | None:
    """Claim the key for this transaction, or return the answer that was given before.

    Waits for another transaction that has the same key, and then has its answer. 422 if the key came with another
    request.
    """
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    fresh = {"request_hash": this.request_hash, "status": 0, "body": "", "headers": {}, "ends_at": at + KEPT_FOR}
    first = insert(KeptAnswer).values(key_hash=this.key_hash, user_id=this.user_id, **fresh)
    claim = first.on_conflict_do_update(index_elements=["key_hash"], set_=fresh, where=KeptAnswer.ends_at <= at)
    if session.execute(claim.returning(KeptAnswer.key_hash)).one_or_none() is not None:
        return None
    columns = (KeptAnswer.request_hash, KeptAnswer.status, KeptAnswer.headers, KeptAnswer.body)
    kept = session.execute(select(*columns).where(KeptAnswer.key_hash == this.key_hash)).one()
    if kept.request_hash != this.request_hash:
        detail = "This Idempotency-Key came with another request before. Nothing was changed."
        raise Problem(422, "key-used", detail)
    return Response(kept.body, kept.status, {**kept.headers, REPLAYED: "true"}, mimetype="application/json")


def keep(session: AnySession, this: Repeatable, response: Response) -> None:
    """Store the answer with the change."""
    headers = {name: response.headers[name] for name in HEADERS if name in response.headers}
    values = {"status": response.status_code, "headers": headers, "body": response.get_data(as_text=True)}
    session.execute(update(KeptAnswer).where(KeptAnswer.key_hash == this.key_hash).values(values))


def prune_answers(session: AnySession, *, at: datetime) -> int:
    """Remove up to 1,000 answers that are over; returns how many. Call it until it returns 0."""
    keys = session.scalars(select(KeptAnswer.key_hash).where(KeptAnswer.ends_at < at).limit(BATCH)).all()
    session.execute(delete(KeptAnswer).where(KeptAnswer.key_hash.in_(keys)))
    return len(keys)
