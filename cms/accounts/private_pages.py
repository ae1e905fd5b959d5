"""Pages for whoever is signed in: the frame around them, and the menu of each area of the site."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Flask, Response, current_app, render_template, request

from cms.accounts.current import get_current

MENU = "cms.accounts.menu"
ACCOUNT = "Account"


@dataclass(frozen=True)
class MenuEntry:
    """One line of a menu.

    permission: who sees it: whoever may ever do that. area: whose menu, by its title. about: what one finds there.
    """

    title: str
    path: str
    permission: str
    area: str = ACCOUNT
    about: str = ""


def init_app(app: Flask) -> None:
    """Begin the menus."""
    app.extensions[MENU] = []


def add_to_menu(app: Flask, entry: MenuEntry) -> None:
    """Let a feature add a line to the menu of an area, below those that are there."""
    app.extensions[MENU].append(entry)


def show_private(template: str, *, status: int = 200, area: str = ACCOUNT, **values: object) -> Response:
    """Return a page for the person who asks; its template extends "accounts/frame.html" and may name ``person``.

    ``menu`` has the entries of the area that the person may see; ``here`` is the path of the one that this page is
    of: the longest that its own path begins with.
    """
    person = get_current()
    menu = [each for each in current_app.extensions[MENU] if each.area == area and person.may_ever(each.permission)]
    here = max((each.path for each in menu if request.path.startswith(each.path)), key=len, default=None)
    return Response(render_template(template, person=person, area=area, menu=menu, here=here, **values), status)


def show_unkept(template: str, *, status: int = 200, **values: object) -> Response:
    """Return a page on the way into an account: nobody keeps it, and no other site is told its address."""
    response = Response(render_template(template, **values), status)
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "same-origin"
    return response
