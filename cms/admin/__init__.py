"""The back office: one module for each feature that has pages there."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask


def init_app(app: Flask) -> None:
    """Register the pages; each module has a blueprint ``pages``, and ``ENTRIES`` for the menu, in this order."""
    from cms.accounts.private_pages import MenuEntry, add_to_menu  # noqa: PLC0415

    from . import activity, editor, home, invitations, leaving, people, posts, versions  # noqa: PLC0415

    add_to_menu(app, MenuEntry("Your data", "/account/data", "account.see_security"))
    add_to_menu(app, MenuEntry("Administration", "/admin/", "admin.see"))
    for module in (home, posts, editor, versions, people, invitations, activity, leaving):
        app.register_blueprint(module.pages)
        for entry in module.ENTRIES:
            add_to_menu(app, entry)
