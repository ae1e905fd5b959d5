"""Pages for whoever is signed in: the frame around them, and its menu."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Flask, Response, current_app, render_template

from cms.accounts.current import get_current

MENU = "cms.accounts.menu"


@dataclass(frozen=True)
class MenuEntry:
    """One line of the menu. permission: who sees it: whoever may ever do that."""

    title: str
    path: str
    permission: str


def init_app(app: Flask) -> None:
    """Begin the menu."""
    app.extensions[MENU] = []


def add_to_menu(app: Flask, title: str, path: str, permission: str) -> None:
    """Let a feature add a line to the menu, below those that are there."""
    app.extensions[MENU].append(MenuEntry(title, path, permission))


def show_private(template: str, *, status: int = 200, **values: object) -> Response:
    """Return a page for the person who asks; its template extends "accounts/frame.html" and may name ``person``."""
    person = get_current()
    menu = [entry for entry in current_app.extensions[MENU] if person.may_ever(entry.permission)]
    return Response(render_template(template, person=person, menu=menu, **values), status)
