"""The application factory: the table of contents of the site."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from flask import Flask

from cms import accounts, activity, admin, api, blogs, exchange, jobs, mail, media, web
from cms.database.target import MIGRATIONS_DIR
from cms.extensions import init_extensions

if TYPE_CHECKING:
    from config import Config


def create_app(config: Config | None = None) -> Flask:
    """Build the site from its settings, by default those of the environment; opens no connection.

    Raises ConfigurationError.
    """
    app = Flask("cms", root_path=web.__path__[0])
    configure(app, config)
    init_extensions(app)
    for feature in (web, jobs, mail, activity, accounts, media, blogs, exchange, api, admin):
        feature.init_app(app)
    return app


def configure(app: Flask, config: Config | None) -> None:
    """Copy the settings, already parsed and checked, into the application."""
    from config import load_config  # noqa: PLC0415 - the environment is read only if no settings are given

    settings = config or load_config()
    app.config.from_mapping({each.name: getattr(settings, each.name) for each in fields(settings)})
    app.extensions["settings"] = settings
    app.config["MIGRATIONS_DIR"] = MIGRATIONS_DIR
    app.config["MAX_FORM_MEMORY_SIZE"] = settings.MAX_CONTENT_LENGTH  # a form is one long text
    app.config["TRUSTED_HOSTS"] = list(settings.TRUSTED_HOSTS) or None
