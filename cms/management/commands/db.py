"""`manage.py db …` is `flask db …`."""

from __future__ import annotations

from typing import Any

import click

from cms.errors import CmsError
from cms.management.base import build_site, show_error


class FlaskDb(click.Command):
    """The same group, in a site built for it."""

    def invoke(self, ctx: click.Context) -> Any:  # Any: whatever the inner command returns
        from flask.cli import FlaskGroup

        try:
            site = build_site()
        except CmsError as error:
            show_error(error, as_json=False)
            raise SystemExit(error.exit_code) from None
        return FlaskGroup(create_app=lambda: site).main(
            args=["db", *ctx.params["arguments"]], prog_name="manage.py", standalone_mode=True
        )


db = FlaskDb(
    "db",
    params=[click.Argument(["arguments"], nargs=-1, type=click.UNPROCESSED)],
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
    short_help="Schema history: upgrade, downgrade, current, history, migrate, … (flask db).",
)
