"""Alembic's entry; everything it does is in cms/database/environment.py, where tests reach it."""

from dataclasses import replace
from logging.config import fileConfig
from pathlib import Path

from alembic import context

from cms.database.environment import Run, run
from cms.database.schema import Base
from cms.database.target import Target

config = context.config
if config.config_file_name:
    # The default would switch off every logger that exists already, and a crash would leave no trace.
    fileConfig(config.config_file_name, disable_existing_loggers=False)

if "target" in config.attributes:
    target = config.attributes["target"]
else:
    from flask import current_app

    folder = Path(str(config.get_main_option("script_location")))
    target = replace(Target.of(current_app.config), migrations_dir=folder)

handed = {
    name: config.attributes[name]
    for name in ("lock_held", "say", "accepted", "about", "storing", "receipts")
    if name in config.attributes
}
run(context, Run(target, Base.metadata, **handed))
