"""Prepared plans on connections that outlive an upgrade: what has gone stale is forgotten, and asked once more.

PostgreSQL refuses a prepared statement for good once the type of a column that it returns has changed, and in
autocommit nothing makes the driver forget it: after `ALTER COLUMN … TYPE` every page of an old connection would fail.
"""

from __future__ import annotations

import logging
from typing import Any, Self

import psycopg
from psycopg.abc import Params
from psycopg.abc import QueryNoTemplate as Text
from psycopg.errors import FeatureNotSupported
from psycopg.pq import TransactionStatus

logger = logging.getLogger(__name__)

PREPARED_AT = 5
"""How often a statement is asked on a connection before the server keeps its plan; the driver's own default."""


class AskingAgain(psycopg.Cursor[Any]):  # Any: rows of any shape
    """Keeps plans of what is asked in autocommit, and of nothing that is asked in a transaction.

    Alone a statement that failed has changed nothing, so asking it once more is safe. Inside a transaction nothing can
    be asked after a failure, and the use case that is under way cannot be run a second time, so there no plan is kept
    that could go stale.
    """

    def execute(  # type: ignore[override]  # t-strings are left out: SQLAlchemy sends none
        self, query: Text, params: Params | None = None, *, prepare: bool | None = None, binary: bool | None = None
    ) -> Self:
        if not self.connection.autocommit:
            return super().execute(query, params, prepare=False, binary=binary)
        try:
            return super().execute(query, params, prepare=prepare, binary=binary)
        except FeatureNotSupported as error:  # by its code: the message is in the server's language
            if self.connection.info.transaction_status is not TransactionStatus.IDLE:
                raise
            logger.info("plans forgotten reason=%r", str(error).partition("\n")[0])
            super().execute("DEALLOCATE ALL", prepare=False)  # the driver sees it, and forgets too
            return super().execute(query, params, prepare=False, binary=binary)


def keep_plans_where_safe(connection: psycopg.Connection, backend: int) -> None:
    """Let a new connection keep plans, unless a pooler stands between: another session would not know them.

    backend: the process id that the server itself says. A pooler answers the greeting with one that it made up.
    """
    is_direct = connection.info.backend_pid == backend
    connection.prepare_threshold = PREPARED_AT if is_direct else None
