"""Write migrations/fingerprints anew, for both engines: what `./dev fingerprints` runs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cms.database.expected import write_expected
from cms.database.history import load_scripts
from cms.database.target import Target, parse_url
from cms.errors import CmsError
from tests.postgres import NoPostgresError, find_source, server_of


@contextmanager
def postgres_url() -> Iterator[str]:
    """Yield the URL of a PostgreSQL server that the tests would use. Raises NoPostgresError."""
    source = find_source()
    if source.bin_dir is None:
        yield str(source.url)
        return
    with server_of(source.bin_dir) as server:
        yield server.url


def write_all() -> None:
    """Write both files and say where. Raises NoPostgresError, CmsError."""
    with postgres_url() as url:
        for each in ("sqlite://", url):
            target = Target(parse_url(each), backup_dir=Path("/nonexistent"))
            print(f"wrote {write_expected(target, load_scripts(target))}")  # noqa: T201


if __name__ == "__main__":
    try:
        write_all()
    except (CmsError, NoPostgresError) as error:
        sys.exit(f"error: {error}")
