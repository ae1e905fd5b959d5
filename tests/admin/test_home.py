"""The frame of the administration: its menu shows what the person may see, and nothing else."""

from __future__ import annotations

import re

import pytest
from flask import Flask

from cms.accounts.permissions import ADMIN, AUTHOR, CONTRIBUTOR, EDITOR
from cms.accounts.private_pages import MENU, MenuEntry
from cms.admin.frame import AREA
from tests.people import Visit, add_person

LINE = re.compile(r'<a href="([^"]+)"( aria-current="(?:page|true)")?>([^<]+)</a>')


def menu_of(page: str) -> dict[str, str]:
    """Return the lines of the menu, each with what marks it as the one where the reader is."""
    menu = page.partition('aria-label="Administration">')[2].partition("</nav>")[0]
    return {title: mark.strip() for _, mark, title in LINE.findall(menu)}


@pytest.mark.parametrize("role", [ADMIN, EDITOR, AUTHOR, CONTRIBUTOR])
def test_the_menu_has_what_the_role_may_see(sqlite_app: Flask, role: str):
    entries = [each for each in sqlite_app.extensions[MENU] if each.area == AREA]
    visit = Visit(sqlite_app, add_person(sqlite_app, "cleo", role))
    menu = menu_of(visit.get("/admin/").text)
    assert "Overview" in menu
    assert ("People" in menu) == (role == ADMIN)
    reachable = [each.title for each in entries if visit.get(each.path).status_code == 200]
    assert list(menu) == reachable


def test_a_page_below_an_entry_marks_it(sqlite_app: Flask):
    root = add_person(sqlite_app, "root", ADMIN)
    visit = Visit(sqlite_app, root)
    assert menu_of(visit.get("/admin/people").text)["People"] == 'aria-current="page"'
    menu = menu_of(visit.get(f"/admin/people/{root.uuid}").text)
    assert (menu["People"], menu["Overview"]) == ('aria-current="true"', "")


def test_a_role_for_which_there_is_nothing_is_told_so(sqlite_app: Flask):
    sqlite_app.extensions[MENU] = [MenuEntry("Overview", "/admin/", "admin.see", area=AREA)]
    visit = Visit(sqlite_app, add_person(sqlite_app, "cleo", CONTRIBUTOR))
    assert "Nothing here is for the role contributor yet." in visit.get("/admin/").text
