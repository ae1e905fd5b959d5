"""Jobs: what a use case wants done after it, stored with it, and done by a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask


def init_app(app: Flask) -> None:
    """Register the feature's tables and its health address; the queue itself is imported by the worker alone."""
    from . import health, models  # noqa: F401, PLC0415

    health.init_app(app)
