"""The activity log: who did what, to what, when and for which request; and all of it for other programs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, time

from flask import Blueprint, Response, abort, request
from wtforms import DateField, Form, StringField
from wtforms.validators import Length, Optional

from cms.accounts.current import needs
from cms.activity.export import as_csv, as_json_lines
from cms.activity.queries import Activity, ActivityFilter, iterate_activity, list_activity
from cms.admin.frame import menu_entry, show_admin
from cms.extensions import db
from cms.web.downloads import send_as_read
from cms.web.paging import place_of_request

PAGE_SIZE = 50
LONGEST = 255
ENTRIES = (menu_entry("Activity", "/admin/activity", "activity.see", about="Who did what, and when"),)
Write = Callable[[Iterable[Activity]], Iterator[str]]
FORMATS: dict[str, tuple[str, Write]] = {
    "csv": ("text/csv", as_csv),
    "jsonl": ("application/jsonl", as_json_lines),
}

pages = Blueprint("admin_activity", __name__, url_prefix="/admin/activity")


class FilterForm(Form):
    """Which entries are asked for."""

    actor = StringField("Who", [Length(max=LONGEST)])
    action = StringField("Did what", [Length(max=LONGEST)])
    about = StringField("To what", [Length(max=LONGEST)])
    request = StringField("Request", [Length(max=LONGEST)])
    since = DateField("From", [Optional()])
    until = DateField("To", [Optional()])


@pages.get("")
@needs("activity.see")
def show_activity() -> Response:
    form = FilterForm(request.args)
    is_valid = form.validate()
    which = filter_of(form) if is_valid else ActivityFilter()
    wanted = {name: value for name, value in request.args.items() if name in form.data and value}
    return show_admin(
        "admin/activity.html",
        status=200 if is_valid else 422,
        form=form,
        entries=list_activity(db.session, which, place_of_request(), size=PAGE_SIZE),
        wanted=wanted,
    )


@pages.get("/export.<form>")
@needs("activity.see")
def export(form: str) -> Response:
    """Send every entry that fits, oldest first."""
    mimetype, write = FORMATS.get(form) or abort(404)
    asked = FilterForm(request.args)
    if not asked.validate():
        abort(400)
    which = filter_of(asked)
    return send_as_read(
        lambda session: write(iterate_activity(session, which)), mimetype=mimetype, filename=f"activity.{form}"
    )


def filter_of(form: FilterForm) -> ActivityFilter:
    """Return what a valid form asks for; both days are part of it, in UTC."""
    kind, _, identity = (form.about.data or "").strip().partition(":")
    return ActivityFilter(
        actor_name=typed(form.actor),
        action=typed(form.action),
        object_type=kind or None,
        object_id=identity or None,
        request_id=typed(form.request),
        since=moment(form.since.data, time.min),
        until=moment(form.until.data, time.max),
    )


def typed(field: StringField) -> str | None:
    return (field.data or "").strip() or None


def moment(day: date | None, at: time) -> datetime | None:
    return datetime.combine(day, at, UTC) if day else None
