"""Content from elsewhere, and content for elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask


def init_app(app: Flask) -> None:
    """Register the feature's tables; importing them is what does it."""
    from . import models  # noqa: F401, PLC0415
