"""The activity log: written with its use case, kept when people go, found by filter, exported whole."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import cms.activity.jobs  # noqa: F401 - registers the daily job
from cms.activity.errors import ActivityInvalid
from cms.activity.export import as_csv, as_json_lines
from cms.activity.models import ActivityLog
from cms.activity.queries import EVERYTHING, Activity, ActivityFilter, iterate_activity, list_activity
from cms.activity.services import Actor, Subject, prune_activity, record
from cms.extensions import db, transaction
from cms.web.logs import working_for
from cms.web.paging import Place
from tests.site import NOON, Site

POST = Subject("blog", "1", "A lamp on a mast")


@pytest.fixture(autouse=True)
def _context(site: Site):
    with site.app.app_context():
        yield


@pytest.fixture
def ada(site: Site) -> Actor:
    return Actor(site.ada.uuid, "ada")


def note(action: str = "blog.published", **given: Any) -> None:
    given = {"actor": Actor(None, "ada"), "at": NOON, **given}
    with transaction() as session:
        record(session, action, **given)


def actions(which: ActivityFilter = EVERYTHING) -> list[str]:
    return [each.action for each in list_activity(db.session, which, Place(), size=100).items]


def test_an_entry_says_who_what_on_what_when_and_for_which_request(ada: Actor):
    with working_for("53c1f0a92be47d18"):
        note(actor=ada, about=POST, details={"from": "draft", "words": 7, "at": NOON, "tags": ["a", "東京"]})
    (entry,) = list_activity(db.session, EVERYTHING, Place(), size=9).items
    assert (entry.actor_id, entry.actor_name, entry.action, entry.happened_at) == (
        ada.id,
        "ada",
        "blog.published",
        NOON,
    )
    assert (entry.object_type, entry.object_id, entry.object_name) == ("blog", "1", "A lamp on a mast")
    assert entry.request_id == "53c1f0a92be47d18"
    assert entry.details == {"from": "draft", "words": 7, "at": "2026-08-22T12:00:00Z", "tags": ["a", "東京"]}


def test_what_is_rolled_back_was_never_done():
    def give_up_in_the_middle() -> None:
        with transaction() as session:
            record(session, "blog.published", actor=Actor(None, "ada"), at=NOON)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        give_up_in_the_middle()
    assert actions() == []


def test_an_entry_stays_when_the_person_goes(site: Site, ada: Actor):
    note(actor=ada)
    with transaction() as session:
        session.delete(session.get_one(type(site.ada), site.ada.uuid))
    (entry,) = list_activity(db.session, EVERYTHING, Place(), size=9).items
    assert (entry.actor_id, entry.actor_name) == (None, "ada")


@pytest.mark.parametrize(
    "details", [{"password": "x"}, {"new_Password_hash": "x"}, {"a": [{"token": "x"}]}, {"Cookie": "x"}]
)
def test_what_is_called_a_secret_is_refused(details: dict[str, Any]):
    with pytest.raises(ActivityInvalid):
        note(details=details)
    assert actions() == []


@pytest.mark.parametrize("action", ["", "published", "Blog.Published", "blog.published\n", "a." + "b" * 60])
def test_what_is_no_action_is_refused(action: str):
    with pytest.raises(ActivityInvalid):
        note(action)


ANY_TEXT = st.text(st.characters(), max_size=12)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT | st.uuids() | st.binary(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=10,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(ANY_TEXT, ANYTHING, max_size=3), ANY_TEXT)
def test_whatever_is_recorded_is_stored_on_both_engines(details: dict[str, Any], name: str):
    note(details=details, about=Subject("blog", name, name), actor=Actor(None, name))
    with transaction() as session:
        (entry,) = iterate_activity(session, EVERYTHING)
        assert "\x00" not in f"{entry}"
        assert json.loads("".join(as_json_lines([entry])))["details"] == entry.details
        session.execute(sa.delete(ActivityLog))


# --- finding ------------------------------------------------------------------------------------------------------


@pytest.fixture
def history(site: Site) -> None:
    for hour, (action, actor, about) in enumerate([
        ("blog.created", "ada", POST), ("blog.published", "ada", POST), ("user.created", "ben", Subject("user", "7")),
        ("blogroll.made", "ben", None), ("blog.published", "ben", Subject("blog", "2")),
    ]):  # fmt: skip
        ident = {"ada": site.ada.uuid, "ben": site.ben.uuid}[actor]
        with working_for(f"request-{hour}"):
            note(action, actor=Actor(ident, actor), about=about, at=NOON + timedelta(hours=hour))


@pytest.mark.parametrize(
    ("which", "found"),
    [
        ({}, ["blog.published", "blogroll.made", "user.created", "blog.published", "blog.created"]),
        ({"actor_name": "ada"}, ["blog.published", "blog.created"]),
        ({"action": "blog.published"}, ["blog.published", "blog.published"]),
        ({"action": "blog."}, ["blog.published", "blog.published", "blog.created"]),
        ({"object_type": "blog", "object_id": "1"}, ["blog.published", "blog.created"]),
        ({"request_id": "request-2"}, ["user.created"]),
        ({"since": NOON + timedelta(hours=3)}, ["blog.published", "blogroll.made"]),
        ({"until": NOON + timedelta(hours=1)}, ["blog.created"]),
        ({"action": "%."}, []),
        ({"actor_name": "ada", "object_type": "user"}, []),
    ],
)
def test_entries_are_found_by_what_is_asked(history: None, which: dict[str, Any], found: list[str]):
    assert actions(ActivityFilter(**which)) == found


def test_pages_forward_and_back_show_each_entry_once_also_of_one_moment():
    for number in range(11):
        note(f"blog.step_{chr(97 + number)}", at=NOON + timedelta(hours=number // 4))
    page, seen = list_activity(db.session, EVERYTHING, Place(), size=3), []
    while True:
        seen += [each.id for each in page.items]
        if page.older is None:
            break
        page = list_activity(db.session, EVERYTHING, Place(before=page.older), size=3)
    assert seen == [each.id for each in iterate_activity(db.session, EVERYTHING)][::-1]
    assert len(set(seen)) == 11
    back = list(page.items)
    while page.newer is not None:
        page = list_activity(db.session, EVERYTHING, Place(after=page.newer), size=3)
        back = [*page.items, *back]
    assert [each.id for each in back] == seen


# --- out, and gone ------------------------------------------------------------------------------------------------


def entry(**given: Any) -> Activity:
    values = {"id": uuid4(), "happened_at": NOON, "actor_id": None, "actor_name": "ada", "action": "blog.published"}
    empty = dict.fromkeys(["object_type", "object_id", "object_name", "request_id"])
    return Activity(**{**values, **empty, "details": {}, **given})


@given(st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("=+-@\t\r\n\"',; "), max_size=20))
def test_no_cell_of_the_csv_is_a_formula_and_none_breaks_a_row(text: str):
    made = entry(actor_name=text, object_name=text, details={text: text})
    names, row = csv.reader(io.StringIO("".join(as_csv([made])), newline=""))
    cells = dict(zip(names, row, strict=True))
    assert not any(cell.lstrip(" ")[:1] in set("=+-@\t\r\n＝＋－＠") for cell in row if cell.strip(" "))
    assert cells["actor_name"].removeprefix("'") == text.removeprefix("'")


def test_an_export_of_many_takes_no_more_memory_than_one_of_few():
    rows = [
        {"id": UUID(int=number), "happened_at": NOON, "actor_name": "ada", "action": "a.b", "details": {"x": "y" * 200}}
        for number in range(12_000)
    ]
    with transaction() as session:
        session.execute(sa.insert(ActivityLog), rows)
    del rows
    db.session.rollback()
    tracemalloc.start()
    count = sum(1 for _ in as_json_lines(iterate_activity(db.session, EVERYTHING)))
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 12_000
    assert peak_bytes < 8_000_000  # all of them at once take 25 MB


def test_old_entries_go_in_batches_the_oldest_first_and_none_if_all_are_kept():
    rows = [
        {"id": UUID(int=days), "happened_at": NOON - timedelta(days=days), "actor_name": "a", "action": "a.b"}
        for days in range(1, 1500)
    ]
    with transaction() as session:
        session.execute(sa.insert(ActivityLog), rows)
    removed = []
    for keep_days in (0, 365, 365, 365):
        with transaction() as session:
            removed.append(prune_activity(session, keep_days=keep_days, at=NOON))
    assert removed == [0, 1000, 134, 0]
    assert db.session.scalar(sa.select(sa.func.min(ActivityLog.happened_at))) == NOON - timedelta(days=365)
