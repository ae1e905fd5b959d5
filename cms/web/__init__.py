"""What every page shares: error pages, security headers, paging, the base template, static files."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask


def init_app(app: Flask) -> None:
    """Set up what every page shares."""
    from . import (  # noqa: PLC0415
        discovery,
        errors,
        gate,
        headers,
        health,
        https,
        logs,
        maintenance,
        origin,
        pages,
        proxies,
        static_files,
    )

    for part in (
        logs,
        proxies,
        gate,
        https,
        maintenance,
        origin,
        headers,
        static_files,
        pages,
        errors,
        health,
        discovery,
    ):
        part.init_app(app)
