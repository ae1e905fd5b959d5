"""What programs may ask and do, as JSON below /api/v1: one module for each feature, on the services of the pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask


def init_app(app: Flask) -> None:
    """Register every operation: importing a module declares those of its feature."""
    from . import blog_moves, blogs, cors, docs, document, limits, operations, versions  # noqa: F401, PLC0415

    app.register_blueprint(operations.api)
    limits.init_app(app)
    cors.init_app(app)
