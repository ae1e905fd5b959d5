"""How long `backup-and-migrate` and `restore` of a large site take, in what memory, against the engine's own tools.

Usage: python -m bench.migrate DATABASE_URL EMPTY_DATABASE_URL [--posts 200000]

Fills DATABASE_URL (empty, or not there yet) at the first revision with posts of realistic length, runs the command,
restores its backup into EMPTY_DATABASE_URL and compares every row count and content hash with the source. The
baseline, taken in the same run, is what a careful operator would do by hand: pg_dump -Fc, or a copy of the file.
Prints seconds, the largest memory of one process in MiB, bytes, and ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa
from alembic import command

from cms.database import proof
from cms.database.engines import engine_for
from cms.database.engines.pgtools import conninfo, environment, find_tool
from cms.database.history import alembic_config
from cms.database.keys import load_key
from cms.database.manifest import read_manifest
from cms.database.target import Target, parse_url

ROOT = Path(__file__).resolve().parents[1]
FIRST = "6a1f0c93e2b4"
BATCH = 2000
# What the columns' own defaults give: a table may lack them.
FILLED = {"auth_provider": "email", "is_active": True, "is_verified": False, "role": "user"}
COUNTS = {"view_count": 0, "word_count": 0, "reading_time_minutes": 0}


@dataclass(frozen=True)
class Measured:
    """One process and those it waited for: wall time, and the largest memory that one of them had.

    phases: (seconds, what it said that it does) of each part.
    """

    seconds: float
    peak_mib: float
    output: str
    phases: tuple[tuple[float, str], ...] = ()


def main() -> None:
    options = parse()
    folder = Path(tempfile.mkdtemp(prefix="cms-bench-", dir=options.scratch))
    source = Target(
        parse_url(options.source),
        folder / "backups",
        folder / "media",
        backup_key=secrets.token_hex(16),
        pg_bin_dir=options.pg_bin_dir,
    )
    empty = replace(source, url=parse_url(options.empty))
    try:
        fill(source, options.posts)
        baseline = by_hand(source, folder)
        print(f"by hand:              {baseline:8.1f} s")
        migrated = manage(source, "backup-and-migrate", "--json")
        backup = json.loads(migrated.output)["backup"]
        print(f"backup-and-migrate:   {migrated.seconds:8.1f} s  {migrated.seconds / baseline:5.2f}x by hand  "
              f"{migrated.peak_mib:6.1f} MiB  backup {backup['size_bytes']:,} bytes, {backup['rows']:,} rows, "
              f"{backup['duration_ms'] / 1000:.1f} s of it the backup")  # fmt: skip
        restored = manage(empty, "restore", backup["folder"], "--into", empty.database_name, "--json")
        print(f"restore, compared:    {restored.seconds:8.1f} s  {restored.seconds / baseline:5.2f}x by hand  "
              f"{restored.peak_mib:6.1f} MiB")  # fmt: skip
        compare(empty, Path(backup["folder"]))
    finally:
        shutil.rmtree(folder)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("empty")
    parser.add_argument("--posts", type=int, default=200_000)
    parser.add_argument("--pg-bin-dir", type=Path)
    parser.add_argument("--scratch", type=Path, help="folder for backups [default: the system's]")
    return parser.parse_args()


def fill(target: Target, posts: int) -> None:
    """Bring the database to the first revision and give it an author and the posts."""
    engine_for(target).prepare(target)
    config = alembic_config(target)
    command.upgrade(config, FIRST)
    insert_rows(target, posts)


def insert_rows(target: Target, posts: int) -> None:
    """Give the two first tables an author and the posts."""
    users, blogs = (sa.Table(name, sa.MetaData(), *columns()) for name, columns in (("users", user), ("blogs", blog)))
    author = uuid.uuid4()
    now = datetime(2026, 1, 1, tzinfo=UTC)
    with engine_for(target).open_tool(target).begin() as connection:
        row = {"uuid": author, "username": "bench", "email": "bench@example.org", "created_at": now, **FILLED}
        connection.execute(users.insert(), row)
        for start in range(0, posts, BATCH):
            rows = [post(author, now, number) for number in range(start, min(start + BATCH, posts))]
            connection.execute(blogs.insert(), rows)


def user() -> list[sa.Column]:
    return [
        sa.Column("uuid", sa.Uuid),
        sa.Column("username", sa.String),
        sa.Column("email", sa.String),
        sa.Column("created_at", sa.DateTime(timezone=True)),
        *(sa.Column(name, sa.Boolean if isinstance(value, bool) else sa.String) for name, value in FILLED.items()),
    ]


def blog() -> list[sa.Column]:
    texts = ("title", "slug", "content", "summary", "status")
    return [
        sa.Column("id", sa.Uuid),
        sa.Column("author_id", sa.Uuid),
        *(sa.Column(name, sa.String) for name in texts),
        *(sa.Column(name, sa.Integer) for name in COUNTS),
        sa.Column("tags", sa.JSON),
        sa.Column("created_at", sa.DateTime(timezone=True)),
    ]


def post(author: uuid.UUID, start: datetime, number: int) -> dict[str, object]:
    """Return one post of 300 to 900 words that compress about as prose does."""
    chance = random.Random(number)
    words = " ".join(chance.choices(VOCABULARY, WEIGHTS, k=chance.randint(300, 900)))
    return {
        "id": uuid.UUID(int=chance.getrandbits(128)),
        "author_id": author,
        "title": words[:60],
        "slug": f"post-{number}",
        "content": words,
        "summary": words[:200],
        "status": "published",
        "tags": chance.sample(VOCABULARY[:50], 3),
        "created_at": start + timedelta(minutes=number),
        **COUNTS,
    }


LETTERS = "etaoinshrdlucmfwypvbgk"
VOCABULARY = [
    "".join(random.Random(number).choices(LETTERS, range(len(LETTERS), 0, -1), k=2 + number % 9))
    for number in range(5000)
]
WEIGHTS = [1 / (rank + 1) for rank in range(len(VOCABULARY))]


def by_hand(target: Target, folder: Path) -> float:
    """Return the seconds that the engine's own plain backup takes."""
    began = time.monotonic()
    copy = folder / "by-hand"
    if target.engine_name == "sqlite":
        shutil.copyfile(str(target.url.database), copy)
    else:
        tool = find_tool("pg_dump", target, 15)
        arguments = [tool.path, "-Fc", f"--file={copy}", f"--dbname={conninfo(target)}"]
        subprocess.run(arguments, env=environment(target), check=True)
    seconds = time.monotonic() - began
    copy.unlink()
    return seconds


def manage(target: Target, *arguments: str) -> Measured:
    settings = {
        **os.environ,
        "DATABASE_URL": target.url.render_as_string(hide_password=False),
        "BACKUP_DIR": str(target.backup_dir),
        "MEDIA_DIR": str(target.media_dir),
        "BACKUP_KEY": str(target.backup_key),
        **({"PG_BIN_DIR": str(target.pg_bin_dir)} if target.pg_bin_dir else {}),
    }
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "manage.py"), *arguments],
        env=settings, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout
    assert process.stderr
    said = [(began, "starting"), *((time.monotonic(), line.strip()) for line in process.stderr)]
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{arguments[0]} failed: {said[-3:]}")
    ended = time.monotonic()
    return Measured(ended - began, usage.ru_maxrss / 1024, output, measure_phases(said, ended))


def measure_phases(said: list[tuple[float, str]], ended: float) -> tuple[tuple[float, str], ...]:
    """Return how long each phase took; a line that only tells how far one is begins with its name and a colon."""
    begun = said[:1]
    for moment, line in said[1:]:
        if not line.startswith(f"{begun[-1][1]}:"):
            begun.append((moment, line))
    ends = [*(moment for moment, _ in begun[1:]), ended]
    return tuple((end - moment, line) for (moment, line), end in zip(begun, ends, strict=True))


def compare(target: Target, folder: Path) -> None:
    """Read every table of the restored database again and compare it with the manifest."""
    proof.compare(target, read_manifest(folder, load_key(target)).contents, say=print)
    print("every table of the restored database has the row count and content hash of the source")


if __name__ == "__main__":
    main()
