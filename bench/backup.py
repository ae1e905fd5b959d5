"""How long backup, proof and restore of a large site take, how large the backup is, and in what memory.

Usage: python -m bench.backup DATABASE_URL [--posts 1000000] [--pg-bin-dir FOLDER] [--scratch FOLDER]

Fills DATABASE_URL with posts of realistic text if it is empty. The baseline, taken in the same run, is what a careful
operator would do by hand: `pg_dump -Fc` and `pg_restore -j2` into a new database, which compares nothing; of SQLite a
copy by the backup API. Prints seconds, bytes, the largest memory of one process in MiB, ratios, and the seconds of each
phase. Run it with two numbers of posts to see whether memory depends on the size.

For SQLite a writer commits 100 times a second meanwhile; its longest wait is printed beside that without a backup.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shutil
import sqlite3
import subprocess
import tempfile
import threading
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command

from bench.migrate import Measured, fill, manage
from cms.database.engines import engine_for
from cms.database.engines.pgtools import conninfo, environment, find_tool
from cms.database.history import alembic_config
from cms.database.target import Target, parse_url

if TYPE_CHECKING:
    from collections.abc import Iterator

WRITES_PER_S = 100


@dataclass
class Waits:
    """How long the writer waited: for its longest write, and for one in a hundred."""

    longest_s: float = 0.0
    p99_s: float = 0.0
    writes: int = 0


def main() -> None:
    options = parse()
    folder = Path(tempfile.mkdtemp(prefix="cms-bench-", dir=options.scratch))
    target = Target(
        parse_url(options.database),
        folder / "backups",
        folder / "media",
        backup_key=secrets.token_hex(16),
        pg_bin_dir=options.pg_bin_dir,
    )
    try:
        prepare(target, options.posts)
        measure = measure_sqlite if target.engine_name == "sqlite" else measure_postgresql
        measure(target, folder)
    finally:
        shutil.rmtree(folder)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database")
    parser.add_argument("--posts", type=int, default=1_000_000)
    parser.add_argument("--pg-bin-dir", type=Path)
    parser.add_argument("--scratch", type=Path, help="folder for backups [default: the system's]")
    return parser.parse_args()


def prepare(target: Target, posts: int) -> None:
    """Fill an empty database; one that has posts is taken as it is."""
    engine_for(target).prepare(target)
    with engine_for(target).open_tool(target).connect() as connection:
        is_empty = not engine_for(target).list_tables(connection)
    if is_empty:
        fill(target, posts)
        command.upgrade(alembic_config(target), "head")


def measure_postgresql(target: Target, folder: Path) -> None:
    dump = folder / "by-hand.dump"
    dump_s = by_hand(target, "pg_dump", "-Fc", f"--file={dump}", f"--dbname={conninfo(target)}")
    print(f"pg_dump -Fc:               {dump_s:8.1f} s  {dump.stat().st_size:15,} bytes", flush=True)
    copy = replace(target, url=target.url.set(database=f"{target.database_name}_by_hand"))
    administer(target, f'CREATE DATABASE "{copy.database_name}"')
    try:
        restore_s = by_hand(target, "pg_restore", "-j2", f"--dbname={conninfo(copy)}", str(dump))
    finally:
        administer(target, f'DROP DATABASE "{copy.database_name}"')
    print(f"pg_restore -j2:            {restore_s:8.1f} s", flush=True)
    unproven = manage(target, "backup", "--no-proof", "--json")
    size_bytes = json.loads(unproven.output)["size_bytes"]
    tell("backup --no-proof", unproven, f"{size_bytes:15,} bytes", baseline_s=dump_s, baseline="pg_dump")
    print(f"  size:                    {size_bytes / dump.stat().st_size:8.2f} x pg_dump's")
    dump.unlink()
    proven = manage(target, "backup", "--json")
    allowed_s = restore_s + 0.4 * dump_s
    tell("backup, proven", proven, "", baseline_s=allowed_s, baseline="(pg_restore + 0.4 pg_dump)")
    into = f"{target.database_name}_restored"
    backup = json.loads(proven.output)["folder"]
    restored = manage(target, "restore", backup, "--to-new-database", into, "--json")
    administer(target, f'DROP DATABASE "{into}"')
    tell("restore, compared", restored, "", baseline_s=restore_s, baseline="pg_restore -j2")


def by_hand(target: Target, name: str, *arguments: str) -> float:
    began = time.monotonic()
    subprocess.run([find_tool(name, target, 15).path, *arguments], env=environment(target), check=True)
    return time.monotonic() - began


def administer(target: Target, statement: str) -> None:
    server = replace(target, url=target.url.set(database="postgres"))
    with engine_for(server).open_tool(server).connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql(statement)


def measure_sqlite(target: Target, folder: Path) -> None:
    path = str(target.url.database)
    print(f"database:                  {Path(path).stat().st_size:15,} bytes")
    with writing(path) as alone:
        time.sleep(5)
    print(f"writer alone:              longest {alone.longest_s * 1000:5.0f} ms  p99 {alone.p99_s * 1000:5.0f} ms")
    with writing(path) as beside:
        began = time.monotonic()
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(folder / "copy")) as copy:
            source.backup(copy, pages=-1)
        api_s = time.monotonic() - began
    (folder / "copy").unlink()
    tell_waits("backup API", Measured(api_s, 0.0, ""), beside, api_s)
    for name, arguments in (("backup --no-proof", ["--no-proof"]), ("backup, proven", [])):
        with writing(path) as beside:
            taken = manage(target, "backup", "--json", *arguments)
        tell_waits(name, taken, beside, api_s)
    restored = manage(target, "restore", json.loads(taken.output)["folder"], "--to-new-database", "restored", "--json")
    Path(path).with_name("restored").unlink()
    tell("restore, compared", restored, "", baseline_s=api_s, baseline="the backup API")


@contextmanager
def writing(path: str) -> Iterator[Waits]:
    """Commit 100 times a second in a thread while the block runs; the result is filled in at its end."""
    os.sync()  # what earlier steps have written is not to be waited for in this one
    waits, over = Waits(), threading.Event()
    thread = threading.Thread(target=write, args=(path, over, waits))
    thread.start()
    try:
        yield waits
    finally:
        over.set()
        thread.join()


def write(path: str, over: threading.Event, waits: Waits) -> None:
    taken = []
    with closing(sqlite3.connect(path, isolation_level=None, timeout=60)) as connection:
        slug = connection.execute("SELECT slug FROM blogs LIMIT 1").fetchone()[0]
        while not over.is_set():
            began = time.monotonic()
            connection.execute("UPDATE blogs SET view_count = view_count + 1 WHERE slug = ?", (slug,))
            taken.append(time.monotonic() - began)
            over.wait(max(0.0, 1 / WRITES_PER_S - taken[-1]))
    taken.sort()
    waits.longest_s, waits.p99_s, waits.writes = taken[-1], taken[len(taken) * 99 // 100], len(taken)


def tell(name: str, measured: Measured, more: str, *, baseline_s: float, baseline: str) -> None:
    ratio = measured.seconds / baseline_s
    print(f"{name + ':':25} {measured.seconds:9.1f} s  {more:21} {ratio:5.2f} x {baseline}  "
          f"{measured.peak_mib:6.1f} MiB", flush=True)  # fmt: skip
    for seconds, phase in measured.phases:
        print(f"  {seconds:32.1f} s  {phase}", flush=True)


def tell_waits(name: str, measured: Measured, waits: Waits, baseline_s: float) -> None:
    more = f"writer: longest {waits.longest_s * 1000:.0f} ms, p99 {waits.p99_s * 1000:.0f} ms, {waits.writes} writes"
    tell(name, measured, more, baseline_s=baseline_s, baseline="the backup API")


if __name__ == "__main__":
    main()
