"""How long visitors wait while revisions run: by building blocks, written naively, and without any revision.

Usage: python -m bench.traffic DATABASE_URL [--posts 20000] [--rate 200] [--reader-s 0] [--only WORD]

DATABASE_URL: a database of a PostgreSQL server, empty or filled by an earlier run. It is brought to the head and, if it
is empty, filled by the server itself. Eight of the site's own connections then read posts by slug (80 %), count a view
(15 %) and add a post (5 %), each request at its planned moment: one that waits delays those planned behind it, and is
counted from when it was planned. With --reader-s a transaction that has read the table stays open for so long from the
start of each case.
"""

from __future__ import annotations

import argparse
import random
import shutil
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from sqlalchemy.exc import SQLAlchemyError

from cms.database.engines import engine_for
from cms.database.expected import write_expected
from cms.database.history import alembic_config, get_head, load_scripts
from cms.database.target import Target, parse_url

CLIENTS = 8
QUIET_S = 5.0
REVISION = "feedfacecafe"
FILL = """
INSERT INTO blogs (id, author_id, title, slug, content, summary, status, tags, created_at)
SELECT gen_random_uuid(), :author, 'Post ' || n, 'post-' || n, repeat(md5(n::text) || ' ', 40), 'a summary', 'draft',
       '[]', now() - n * interval '1 minute'
FROM generate_series(1, :posts) n"""
READ = sa.text("SELECT id, title, content, word_count FROM blogs WHERE slug = :slug")
COUNT = sa.text("UPDATE blogs SET view_count = view_count + 1 WHERE slug = :slug")
ADD = sa.text("""INSERT INTO blogs (id, author_id, title, slug, content, summary, status, tags, created_at)
    VALUES (:id, :author, 'New', :slug, 'text', 'a summary', 'draft', '[]', now())""")
# by blocks, naively, back: the bodies of upgrade() and downgrade()
CASES = {
    "index": (
        'operations.create_index("ix_bench", "blogs", ["title"])',
        'op.create_index("ix_bench", "blogs", ["title"])',
        'op.drop_index("ix_bench", "blogs")',
    ),
    "foreign key": (
        """operations.create_foreign_key(
        "bench_fkey", "blogs", ["author_id"], to="users", parent_columns=["uuid"], ondelete="CASCADE")""",
        'op.create_foreign_key("bench_fkey", "blogs", "users", ["author_id"], ["uuid"], ondelete="CASCADE")',
        'op.drop_constraint("bench_fkey", "blogs", "foreignkey")',
    ),
    "not null": (
        'operations.set_not_null("blogs", "summary")',
        'op.alter_column("blogs", "summary", nullable=False)',
        'op.alter_column("blogs", "summary", nullable=True)',
    ),
    "volatile default": (
        'operations.add_filled_column("blogs", sa.Column("key", sa.Uuid, nullable=False, server_default=RANDOM))',
        'op.add_column("blogs", sa.Column("key", sa.Uuid, nullable=False, server_default=RANDOM))',
        'op.drop_column("blogs", "key")',
    ),
    "type change": (
        'operations.change_type("blogs", "word_count", sa.BigInteger())',
        'op.alter_column("blogs", "word_count", type_=sa.BigInteger())',
        'op.alter_column("blogs", "word_count", type_=sa.Integer())',
    ),
    "backfill": (
        """operations.backfill("blogs", {"summary": "by blocks"}, where="summary <> 'by blocks'")""",
        """op.execute("UPDATE blogs SET summary = 'naive' WHERE summary <> 'naive'")""",
        "pass",
    ),
}


@dataclass
class Traffic:
    """What the clients met: how long each request took, counted from its planned moment, and what failed."""

    waits_s: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        waits = sorted(self.waits_s)
        p99 = waits[int(len(waits) * 0.99)]
        over = sum(wait > 0.1 for wait in waits)
        return (
            f"longest {waits[-1] * 1000:7.0f} ms   p99 {p99 * 1000:7.0f} ms   "
            f"> 100 ms {over:6,} of {len(waits):6,}   failed {len(self.failures):4}"
        )


def main() -> None:
    options = parse()
    folder = Path(tempfile.mkdtemp(prefix="cms-bench-"))
    target = Target(parse_url(options.database), folder / "backups", folder / "media", pool_size=CLIENTS)
    try:
        author = fill(target, options.posts)
        with traffic(target, author, options) as met:
            time.sleep(QUIET_S)
        print(f"{'no revision':18} {'':8} {QUIET_S:6.1f} s   {met}", flush=True)
        for name in CASES:
            if options.only in name:
                for way, number in (("blocks", 0), ("naive", 1)):
                    run(target, folder / f"{name}-{way}", author, name=name, number=number, options=options)
    finally:
        shutil.rmtree(folder)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database")
    parser.add_argument("--posts", type=int, default=20_000)
    parser.add_argument("--rate", type=int, default=200)
    parser.add_argument("--reader-s", type=float, default=0.0)
    parser.add_argument("--only", default="")
    return parser.parse_args()


def fill(target: Target, posts: int) -> uuid.UUID:
    """Bring the database to the head, and let the server make the posts unless it has; return their author."""
    command.upgrade(alembic_config(target), "head")
    with engine_for(target).open_tool(target).begin() as connection:
        if known := connection.scalar(sa.text("SELECT uuid FROM users WHERE username = 'bench'")):
            return known
        author = uuid.uuid4()
        user = "INSERT INTO users (uuid, username, email, created_at) VALUES (:author, 'bench', 'b@example.org', now())"
        connection.execute(sa.text(user), {"author": author})
        connection.exec_driver_sql("ALTER TABLE blogs DISABLE TRIGGER blog_search")
        connection.execute(sa.text(FILL), {"author": author, "posts": posts})
        connection.exec_driver_sql("ALTER TABLE blogs ENABLE TRIGGER blog_search")
    with engine_for(target).open_tool(target).execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.exec_driver_sql("VACUUM ANALYZE blogs")
    return author


def run(
    target: Target, folder: Path, author: uuid.UUID, *, name: str, number: int, options: argparse.Namespace
) -> None:
    """Run one revision while visitors come, print what they met, and take it back."""
    longer = with_revision(target, folder, CASES[name][number], CASES[name][2])
    head = str(get_head(load_scripts(target)))
    config = alembic_config(longer)
    config.attributes["say"] = lambda _line: None
    began = time.monotonic()
    with reading(target, options.reader_s), traffic(target, author, options) as met:
        command.upgrade(config, "head")
        took_s = time.monotonic() - began
    print(f"{name:18} {('blocks', 'naive')[number]:8} {took_s:6.1f} s   {met}", flush=True)
    for failure in sorted(set(met.failures)):
        print(f"    {failure}", flush=True)
    command.downgrade(config, head)


def with_revision(target: Target, folder: Path, up: str, down: str) -> Target:
    shutil.copytree(target.migrations_dir, folder, ignore=lambda *_: ["__pycache__"])
    (folder / "versions" / "20990101_0000_bench.py").write_text(
        '"""measure it"""\nimport sqlalchemy as sa\nfrom alembic import op\nfrom cms.database import operations\n'
        f'revision = "{REVISION}"\ndown_revision = "{get_head(load_scripts(target))}"\nchanges = ("blogs",)\n'
        f'RANDOM = sa.text("gen_random_uuid()")\n'
        f"def upgrade():\n    {up}\ndef downgrade():\n    {down}\n"
    )
    longer = replace(target, migrations_dir=folder)
    write_expected(longer, load_scripts(longer))
    return longer


@contextmanager
def reading(target: Target, for_s: float) -> Iterator[None]:
    """Keep a transaction open that has read the table, for so long from now."""

    def read() -> None:
        with engine_for(target).open_tool(target).connect() as connection:
            connection.exec_driver_sql("SELECT count(*) FROM (SELECT FROM blogs LIMIT 10) few")
            begun.set()
            over.wait(for_s)

    begun, over = threading.Event(), threading.Event()
    thread = threading.Thread(target=read)
    if for_s:
        thread.start()
        begun.wait()
    yield
    over.set()
    if for_s:
        thread.join()


@contextmanager
def traffic(target: Target, author: uuid.UUID, options: argparse.Namespace) -> Iterator[Traffic]:
    """Let visitors come for as long as the block lasts."""
    met, over = Traffic(), threading.Event()
    pool = engine_for(target).open_pool(target)

    def come(number: int) -> None:
        chance, planned = random.Random(number), time.monotonic() + number / options.rate
        with pool.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            while not over.is_set():
                time.sleep(max(planned - time.monotonic(), 0))
                try:
                    ask(connection, chance, author, options.posts)
                except SQLAlchemyError as error:
                    met.failures.append(str(error).splitlines()[0])
                met.waits_s.append(time.monotonic() - planned)
                planned += CLIENTS / options.rate

    threads = [threading.Thread(target=come, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    time.sleep(1)  # each has its connection, and its plans are prepared
    met.waits_s.clear()
    try:
        yield met
    finally:
        over.set()
        for thread in threads:
            thread.join()
        pool.dispose()


def ask(connection: sa.Connection, chance: random.Random, author: uuid.UUID, posts: int) -> None:
    kind, slug = chance.random(), f"post-{chance.randint(1, posts)}"
    if kind < 0.8:
        connection.execute(READ, {"slug": slug}).all()
    elif kind < 0.95:
        connection.execute(COUNT, {"slug": slug})
    else:
        connection.execute(ADD, {"id": uuid.uuid4(), "author": author, "slug": f"new-{uuid.uuid4()}"})


if __name__ == "__main__":
    main()
