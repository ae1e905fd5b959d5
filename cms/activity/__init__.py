"""What was done by whom. Below accounts: people come as arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask


def init_app(app: Flask) -> None:
    """Register the feature's table; importing it is what does it."""
    from . import models  # noqa: F401, PLC0415
