"""Pictures: what may be kept, where it lies, and the address it is shown under."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask


def init_app(app: Flask) -> None:
    """Register the address of the pictures."""
    from cms.accounts.private_pages import MenuEntry, add_to_menu  # noqa: PLC0415

    from .own_picture import own_picture  # noqa: PLC0415
    from .views import media  # noqa: PLC0415

    app.register_blueprint(media)
    app.register_blueprint(own_picture)
    add_to_menu(app, MenuEntry("Picture", "/account/picture", "account.see"))
