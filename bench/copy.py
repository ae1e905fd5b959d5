"""How long `copy-database` of a large site takes, there and back, in what memory, against dump and restore.

Usage: python -m bench.copy EMPTY_POSTGRESQL_URL [--posts 200000] [--pg-bin-dir FOLDER] [--scratch FOLDER]

Fills a SQLite file with posts of realistic length, moves it into the database and from there into a second file, and
compares every table of the two files in the form that both kinds have. The baseline, taken in the same run, is
`pg_dump -Fc` and `pg_restore -j2` of the moved database, which compare nothing. Prints seconds, the largest memory of
the process in MiB, and ratios. Run it with two numbers of posts to see whether memory depends on the size.
"""

from __future__ import annotations

import argparse
import secrets
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import sqlalchemy as sa
from alembic import command

from bench.backup import administer, by_hand
from bench.migrate import Measured, fill, manage
from cms.database.engines import engine_for
from cms.database.engines.base import TableEntry
from cms.database.engines.pgtools import conninfo
from cms.database.history import alembic_config
from cms.database.moving import choose_tables, digest
from cms.database.portable import Misfits
from cms.database.sides import side_of
from cms.database.target import Target, parse_url


def main() -> None:
    options = parse()
    folder = Path(tempfile.mkdtemp(prefix="cms-bench-", dir=options.scratch))
    server = Target(
        parse_url(options.database),
        folder / "backups",
        folder / "media",
        backup_key=secrets.token_hex(16),
        pg_bin_dir=options.pg_bin_dir,
    )
    first, second = (replace(server, url=parse_url(f"sqlite:///{folder / name}.db")) for name in ("first", "second"))
    try:
        fill(first, options.posts)
        command.upgrade(alembic_config(first), "head")
        print(f"{options.posts:,} posts, {(folder / 'first.db').stat().st_size:,} bytes", flush=True)
        there = move(first, server)
        baseline_s = dump_and_restore(server, folder)
        print(f"pg_dump, pg_restore:  {baseline_s:8.1f} s", flush=True)
        tell("to PostgreSQL", there, baseline_s)
        tell("back to SQLite", move(server, second), baseline_s)
        compare(first, second, server)
    finally:
        shutil.rmtree(folder)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database")
    parser.add_argument("--posts", type=int, default=200_000)
    parser.add_argument("--pg-bin-dir", type=Path)
    parser.add_argument("--scratch", type=Path, help="folder for the files [default: the system's]")
    return parser.parse_args()


def move(source: Target, to: Target) -> Measured:
    return manage(source, "copy-database", "--json", "--to", to.url.render_as_string(hide_password=False))


def dump_and_restore(target: Target, folder: Path) -> float:
    dump, copy = folder / "by-hand.dump", f"{target.database_name}_by_hand"
    seconds = by_hand(target, "pg_dump", "-Fc", f"--file={dump}", f"--dbname={conninfo(target)}")
    administer(target, f'CREATE DATABASE "{copy}"')
    try:
        into = replace(target, url=target.url.set(database=copy))
        return seconds + by_hand(target, "pg_restore", "-j2", f"--dbname={conninfo(into)}", str(dump))
    finally:
        administer(target, f'DROP DATABASE "{copy}"')


def tell(what: str, measured: Measured, baseline_s: float) -> None:
    print(f"{what:20}  {measured.seconds:8.1f} s  {measured.seconds / baseline_s:5.2f}x  {measured.peak_mib:6.1f} MiB")
    for seconds, phase in measured.phases:
        print(f"  {seconds:8.1f} s  {phase}")


def compare(first: Target, second: Target, server: Target) -> None:
    """Read both files in the form that both kinds have. Raises SystemExit if a table differs but the journal."""
    with engine_for(server).open_tool(server).connect() as described:
        one, other = (read(target, described, server) for target in (first, second))
    wrong = sorted(name for name in one if one[name] != other[name] and name != "migration_journal")
    if wrong:
        raise SystemExit(f"these differ: {', '.join(wrong)}")
    print(f"{len(one)} tables, {sum(entry.rows for entry in one.values()):,} rows: equal after there and back")


def read(target: Target, described: sa.Connection, server: Target) -> dict[str, TableEntry]:
    with engine_for(target).snapshot(target) as snapshot:
        tables, _ = choose_tables(server, described, snapshot.connection)
        return {table.name: digest(side_of(snapshot.connection), table, Misfits()) for table in tables}


if __name__ == "__main__":
    main()
