"""Mail: written by a use case, stored with it as a job, sent by the worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask


def init_app(app: Flask) -> None:
    """Let every feature's mails stand on the frame in this feature's templates."""
    from flask import Blueprint  # noqa: PLC0415

    app.register_blueprint(Blueprint("mail", __name__, template_folder="templates"))
