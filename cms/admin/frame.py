"""What every page of the administration shares: its frame, and the lines of its menu."""

from __future__ import annotations

from flask import Response

from cms.accounts.private_pages import MenuEntry, show_private

AREA = "Administration"


def menu_entry(title: str, path: str, permission: str, *, about: str) -> MenuEntry:
    """Return a line of the menu, for the ``ENTRIES`` of a module. about: what the first page says of it."""
    return MenuEntry(title, path, permission, area=AREA, about=about)


def show_admin(template: str, *, status: int = 200, **values: object) -> Response:
    """Return a page of the administration; its template extends "admin/base.html"."""
    return show_private(template, status=status, area=AREA, **values)
