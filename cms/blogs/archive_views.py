"""The archive: all months, and the posts of a year or a month."""

from __future__ import annotations

from itertools import groupby

from flask import Blueprint
from werkzeug.wrappers import Response

from cms.blogs.archive import Period, list_months, list_posts_of_period
from cms.blogs.views import show_list
from cms.extensions import db
from cms.web.pages import month_name, show_page
from cms.web.paging import place_of_request

POSTS = 100  # titles on a page

archive = Blueprint("archive", __name__)


@archive.get("/archive/")
def show_archive() -> Response:
    """Show every year with its months; a site without posts has an archive all the same."""
    years = [(year, list(months)) for year, months in groupby(list_months(db.session), key=lambda each: each.year)]
    return show_page("blogs/archive.html", years=years)


@archive.get("/archive/<int(fixed_digits=4, min=1, max=9998):year>/")
def show_year(year: int) -> Response:
    return show_period(Period(year), str(year))


@archive.get("/archive/<int(fixed_digits=4, min=1, max=9998):year>/<int(fixed_digits=2, min=1, max=12):month>/")
def show_month(year: int, month: int) -> Response:
    period = Period(year, month)
    return show_period(period, f"{month_name(period.begin)} {year}")


def show_period(period: Period, name: str) -> Response:
    place = place_of_request()
    page = list_posts_of_period(db.session, period, place, size=POSTS)
    path = f"/archive/{period.year:04}/{f'{period.month:02}/' if period.month else ''}"
    months = [
        (Period(year, month), list(posts))
        for (year, month), posts in groupby(page.items, key=lambda post: (post.created_at.year, post.created_at.month))
    ]
    description = f"All posts of {name}"
    return show_list(
        "blogs/period.html", page, place, path=path, period=period, name=name, months=months, description=description
    )
