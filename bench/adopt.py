"""How long it takes to know a database that was made by `create_all()`, and to adopt it, with many rows.

Usage: python -m bench.adopt EMPTY_DATABASE_URL [--posts 200000]

Makes the two first tables as somebody's own program would have, in several ways, each time with all posts, and runs
`stamp-existing-database`. Prints what came of it, the seconds of the whole command, the milliseconds of one fingerprint
as a ratio to SQLAlchemy's reflection of the same tables (the baseline) and to a query that asks for nothing, whether
the digests of all tables are what they were after the stamp and every value of before at the head, and the memory.
"""

from __future__ import annotations

import argparse
import hashlib
import resource
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import sqlalchemy as sa

from bench.migrate import FIRST, insert_rows
from cms.database.adopt import apply_stamp, plan_stamp
from cms.database.engines import engine_for
from cms.database.errors import StampRefused
from cms.database.fingerprint import read_fingerprint
from cms.database.history import load_scripts
from cms.database.progress import Meter
from cms.database.release import apply_release
from cms.database.target import Target, parse_url

ROUNDS = 15


def same(_column: sa.Column) -> None:
    """Change nothing."""


def without_default(column: sa.Column) -> None:
    column.server_default = None


def with_json(column: sa.Column) -> None:
    if isinstance(column.type, sa.JSON):
        column.type = sa.JSON()


WAYS: dict[str, Callable[[sa.Column], None]] = {
    "as the models are": same,
    "without server defaults": without_default,
    "with JSON instead of JSONB": with_json,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--posts", type=int, default=200_000)
    parser.add_argument("--pg-bin-dir", type=Path)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="cms-bench-"))
    target = Target(
        parse_url(options.url),
        folder / "backups",
        folder / "media",
        backup_key=secrets.token_hex(16),
        pg_bin_dir=options.pg_bin_dir,
    )
    try:
        for name, change in WAYS.items():
            print(f"\n{name}, {options.posts:,} posts")
            make(target, options.posts, change)
            print(f"  {compare_fingerprint(target)}")
            if not adopt(target, {}):
                adopt(target, {"align": True})
                make(target, options.posts, change)
                adopt(target, {"accept_differences": True})
    finally:
        shutil.rmtree(folder)


def make(target: Target, posts: int, change: Callable[[sa.Column], None]) -> None:
    """Make the tables of the first revision anew in an otherwise empty database, each column changed, and fill them."""
    module = load_scripts(target).get_revision(FIRST).module
    tables = sa.MetaData()
    for table in (module.users, module.blogs):
        for column in table.to_metadata(tables).columns:
            change(column)
    if change is with_json:
        for table in tables.tables.values():
            table.indexes = {index for index in table.indexes if "gin" not in str(index.name)}  # it holds no JSON
    engine_for(target).prepare(target)
    with engine_for(target).open_tool(target).begin() as connection:
        if target.engine_name == "postgresql":  # functions, too
            connection.exec_driver_sql("DROP SCHEMA public CASCADE")
            connection.exec_driver_sql("CREATE SCHEMA public")
        there = sa.MetaData()
        there.reflect(connection)
        there.drop_all(connection)
        tables.create_all(connection)
    insert_rows(target, posts)


def adopt(target: Target, options: dict[str, bool]) -> bool:
    """Try the command as an operator would, and if it stamps, go on to the head; return whether it did."""
    before, rows = digests(target), contents(target)
    began = time.monotonic()
    try:
        plan = plan_stamp(target, **options)
    except StampRefused as refused:
        print(
            f"  {show(options)}: refused in {time.monotonic() - began:.1f} s: {refused.what}; {compare(target, before)}"
        )
        return False
    apply_stamp(target, plan, say=quiet)
    print(f"  {show(options)}: stamped {plan.revision} in {time.monotonic() - began:.1f} s, {compare(target, before)}")
    began = time.monotonic()
    apply_release(target, proof=False, say=quiet)
    kept = "every value of before" if contents(target, rows) == rows else "VALUES WERE LOST"
    print(f"  at the head after {time.monotonic() - began:.1f} s: {kept}; at most {peak_mb()} MB of memory so far")
    return True


def show(options: dict[str, bool]) -> str:
    return " ".join(["stamp-existing-database", *(f"--{name.replace('_', '-')}" for name in options)])


def compare(target: Target, before: dict[str, tuple[int, str]]) -> str:
    after = digests(target)
    same = all(after[table] == digest for table, digest in before.items())
    return "digests of all tables as before" if same else "THE DIGESTS OF TABLES CHANGED"


def peak_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def compare_fingerprint(target: Target) -> str:
    """Read the fingerprint and reflect the tables in turn, and return the medians in milliseconds and their ratio."""
    ours, theirs, nothing = [], [], []
    for _ in range(ROUNDS):
        with engine_for(target).open_tool(target).connect() as connection:
            began = time.perf_counter()
            read_fingerprint(connection)
            between = time.perf_counter()
            sa.MetaData().reflect(connection)
            ours.append((between - began) * 1000)
            theirs.append((time.perf_counter() - between) * 1000)
            began = time.perf_counter()
            connection.exec_driver_sql("SELECT 1").scalar()
            nothing.append((time.perf_counter() - began) * 1000)
    own, reflected, asked = median(ours), median(theirs), median(nothing)
    return (
        f"fingerprint {own:.1f} ms, {own / reflected:.2f}x reflecting the tables ({reflected:.1f} ms), "
        f"{own / asked:.0f}x a query ({asked:.2f} ms)"
    )


def digests(target: Target) -> dict[str, tuple[int, str]]:
    with engine_for(target).open_tool(target).connect() as connection, Meter(quiet, "hashing") as meter:
        return {table.name: (table.rows, table.digest) for table in engine_for(target).digest_tables(connection, meter)}


@dataclass(frozen=True)
class Content:
    """The columns of a table, and the hash of the values in them, row by row."""

    columns: str
    digest: str


def contents(target: Target, like: dict[str, Content] | None = None) -> dict[str, Content]:
    """Read every value of the tables. like: of these tables and columns, whatever has been added since."""
    with engine_for(target).open_tool(target).connect() as connection:
        inspector = sa.inspect(connection)
        columns = {table: content.columns for table, content in (like or {}).items()} or {
            table: ", ".join(column["name"] for column in inspector.get_columns(table))
            for table in inspector.get_table_names()
        }
        return {table: Content(names, hash_rows(connection, table, names)) for table, names in columns.items()}


def hash_rows(connection: sa.Connection, table: str, names: str) -> str:
    digest = hashlib.sha256()
    statement = sa.text(f"SELECT {names} FROM {table} ORDER BY 1")
    for row in connection.execution_options(yield_per=1000).execute(statement):
        digest.update(repr(tuple(row)).encode())
    return digest.hexdigest()


def quiet(_line: str) -> None:
    """Swallow progress."""


if __name__ == "__main__":
    main()
