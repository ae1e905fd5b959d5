"""The command `manage.py shell`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cms.management.base import command

if TYPE_CHECKING:
    from flask import Flask


@command
def shell(app: Flask) -> None:
    """Open a Python prompt with the site loaded: app, db, transaction, and every model by name."""
    import code

    from cms.database.schema import Base
    from cms.extensions import db, transaction

    names = {mapper.class_.__name__: mapper.class_ for mapper in Base.registry.mappers}
    banner = f"{', '.join(['app', 'db', 'transaction', *sorted(names)])}\nwrite inside `with transaction():`"
    code.interact(banner=banner, local={"app": app, "db": db, "transaction": transaction, **names})
