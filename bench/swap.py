"""How long nobody can read while a restore takes over, and how long a session waits at the longest.

Usage: python -m bench.swap DATABASE_URL [--rounds 5] [--pg-bin-dir FOLDER]

Six clients connect, read one value and disconnect in a loop, as a site without a pool does, on a database that is empty
or holds a table `swap_marker` of an earlier run. A backup with the value 1 is restored over the value 0. Printed per
round: the longest time in which no client got an answer (the gap), the longest that one client went without one, its
errors meanwhile, and whether any saw the old value after the new one. The baseline is the longest time between two
answers without a restore.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from cms.database.backup import apply_backup, plan_backup
from cms.database.engines import engine_for
from cms.database.restore import apply_restore, plan_restore
from cms.database.target import Target, parse_url

CLIENTS = 6
BASELINE_S = 3.0


@dataclass
class Client:
    """What one client saw: (when, value) of each answer, and how many errors."""

    answers: list[tuple[float, int]] = field(default_factory=list)
    errors: int = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pg-bin-dir", type=Path)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="cms-bench-"))
    target = Target(
        parse_url(options.database),
        folder / "backups",
        folder / "media",
        backup_key="k" * 40,
        pg_bin_dir=options.pg_bin_dir,
    )
    try:
        engine_for(target).prepare(target)
        mark(target, 1)
        backup = apply_backup(target, plan_backup(target, proof=False), why="bench", say=str).folder
        for _ in range(options.rounds):
            measure(target, backup)
    finally:
        for name in engine_for(target).list_kept(target):
            engine_for(target).discard(target, name)
        shutil.rmtree(folder)


def mark(target: Target, value: int) -> None:
    with engine_for(target).open_tool(target).begin() as connection:
        connection.exec_driver_sql("DROP TABLE IF EXISTS swap_marker")
        connection.exec_driver_sql(f"CREATE TABLE swap_marker AS SELECT {value} AS value")


def measure(target: Target, backup: Path) -> None:
    mark(target, 0)
    over = threading.Event()
    clients = [Client() for _ in range(CLIENTS)]
    threads = [threading.Thread(target=read_on, args=(target, over, client)) for client in clients]
    for thread in threads:
        thread.start()
    time.sleep(BASELINE_S)
    began = time.monotonic()
    apply_restore(target, plan_restore(target, backup, replacing=True), say=str)
    ended = time.monotonic()
    time.sleep(1)
    over.set()
    for thread in threads:
        thread.join()
    everybody = sorted(moment for client in clients for moment, _ in client.answers)
    print(
        f"gap {longest(everybody, began, ended + 1) * 1000:5.0f} ms (without a restore "
        f"{longest(everybody, everybody[0], began) * 1000:.0f} ms), longest of one client "
        f"{max(longest([at for at, _ in each.answers], began, ended + 1) for each in clients) * 1000:5.0f} ms, "
        f"errors {sum(each.errors for each in clients)}, old after new {sum(map(goes_back, clients))}"
    )


def read_on(target: Target, over: threading.Event, client: Client) -> None:
    engine = engine_for(target).open_tool(target)
    while not over.is_set():
        try:
            with engine.connect() as connection:
                value = connection.exec_driver_sql("SELECT value FROM swap_marker").scalar_one()
        except DBAPIError:
            client.errors += 1
        else:
            client.answers.append((time.monotonic(), value))


def longest(moments: list[float], start: float, end: float) -> float:
    """Return the longest time between two answers within a span."""
    within = [moment for moment in moments if start <= moment <= end]
    return max((later - earlier for earlier, later in itertools.pairwise(within)), default=end - start)


def goes_back(client: Client) -> bool:
    values = [value for _, value in client.answers]
    return 1 in values and 0 in values[values.index(1) :]


if __name__ == "__main__":
    main()
