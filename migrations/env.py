"""Alembic's entry; everything it does is in cms/database/environment.py, where tests reach it."""

from logging.config import fileConfig

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

    target = Target.of(current_app.config)

handed = {name: config.attributes[name] for name in ("lock_held", "say") if name in config.attributes}
run(context, Run(target, Base.metadata, **handed))
