"""What was done by whom, and what people are told about it. Below accounts: people come as arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask


def init_app(app: Flask) -> None:
    """Register the feature's tables, which importing them does, and the templates of its mails."""
    from flask import Blueprint  # noqa: PLC0415

    from . import models  # noqa: F401, PLC0415

    app.register_blueprint(Blueprint("activity", __name__, template_folder="templates"))
