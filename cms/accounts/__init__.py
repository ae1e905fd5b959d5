"""People: who writes, and what is known about them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask


def init_app(app: Flask) -> None:
    """Register the pages, with them the tables, and ask the permission table before each request."""
    from . import (  # noqa: PLC0415
        account_views,
        address_views,
        current,
        elsewhere_views,
        joining_views,
        my_data,
        notice_views,
        openid,
        passkey_views,
        private_pages,
        reset_views,
        second_factor_views,
        sign_in_views,
        token_views,
    )

    current.init_app(app)
    my_data.init_app(app)
    openid.init_app(app)
    private_pages.init_app(app)
    app.register_blueprint(sign_in_views.signing)
    app.register_blueprint(account_views.account)
    app.register_blueprint(reset_views.resetting)
    app.register_blueprint(token_views.tokens)
    app.register_blueprint(second_factor_views.second_factor)
    app.register_blueprint(joining_views.joining)
    app.register_blueprint(address_views.addresses)
    app.register_blueprint(notice_views.notices)
    app.register_blueprint(passkey_views.passkeys)
    app.register_blueprint(elsewhere_views.elsewhere)
    private_pages.add_to_menu(app, private_pages.MenuEntry("Profile", "/account/", "account.see"))
    private_pages.add_to_menu(app, private_pages.MenuEntry("E-mail", "/account/email", "account.see"))
    private_pages.add_to_menu(app, private_pages.MenuEntry("Security", "/account/security", "account.see_security"))
    private_pages.add_to_menu(app, private_pages.MenuEntry("Notifications", "/account/notifications", "account.see"))
