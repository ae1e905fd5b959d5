"""What `backup-and-migrate` costs beside plain `flask db upgrade`, for a revision that does nothing, phase by phase.

Usage: python -m bench.overhead DATABASE_URL [--posts 1000] [--rounds 5] [--pg-bin-dir FOLDER]

DATABASE_URL: an empty database. It is brought to the head and filled; then both commands apply an empty revision in
turn, each as a process of its own, and it is taken back. Prints medians, their ratio, and the phases of the command as
it tells them itself. The last line is the same with nothing pending.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from statistics import median

from alembic import command

from bench.migrate import insert_rows
from cms.database.engines import engine_for
from cms.database.expected import write_expected
from cms.database.history import alembic_config, get_head, load_scripts
from cms.database.target import ROOT, Target, parse_url

EMPTY = '"""do nothing at all"""\nrevision = "{0}"\ndown_revision = "{1}"\ndef upgrade(): pass\ndef downgrade(): pass\n'


def main() -> None:
    options = parse()
    folder = Path(tempfile.mkdtemp(prefix="cms-bench-"))
    target = Target(parse_url(options.database), folder / "backups", folder / "media", pg_bin_dir=options.pg_bin_dir)
    head = str(get_head(load_scripts(target)))
    engine_for(target).prepare(target)
    command.upgrade(alembic_config(target), head)
    insert_rows(target, options.posts)
    site = copy_site(folder / "site")
    environment = {
        **os.environ,
        "DATABASE_URL": options.database,
        "BACKUP_DIR": str(folder / "backups"),
        "MEDIA_DIR": str(folder / "media"),
        **({"PG_BIN_DIR": str(options.pg_bin_dir)} if options.pg_bin_dir else {}),
    }
    try:
        compare("nothing pending", site, environment, options.rounds, back_to=None)
        write_empty(site, head, target)
        compare("an empty revision", site, environment, options.rounds, back_to=head)
    finally:
        shutil.rmtree(folder)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database")
    parser.add_argument("--posts", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pg-bin-dir", type=Path)
    return parser.parse_args()


def copy_site(folder: Path) -> Path:
    """Return a copy of the program with a history of its own."""
    for name in ("cms", "migrations"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("config.py", "manage.py", "wsgi.py"):
        shutil.copy(ROOT / name, folder)
    return folder


def write_empty(site: Path, head: str, target: Target) -> None:
    """Add a revision that does nothing, with what it does to the schema, as a release has it."""
    file = site / "migrations" / "versions" / "20990101_0000_do_nothing_at_all.py"
    file.write_text(EMPTY.format("feedfacecafe", head), encoding="utf-8")
    longer = replace(target, migrations_dir=site / "migrations")
    write_expected(longer, load_scripts(longer))


def compare(what: str, site: Path, environment: dict[str, str], rounds: int, *, back_to: str | None) -> None:
    ours, plain, phases = [], [], defaultdict(list)
    for number in range(rounds + 1):
        took_s, output = run(site, environment, "manage.py", "backup-and-migrate", "--json")
        go_back(site, environment, back_to)
        plain_s, _ = run(site, environment, "-m", "flask", "db", "upgrade")
        go_back(site, environment, back_to)
        if number:  # the first round warms caches
            ours.append(took_s)
            plain.append(plain_s)
            for phase in json.loads(output)["phases"]:
                phases[phase["name"]].append(phase["duration_ms"])
    ratio = median(ours) / median(plain)
    print(f"{what}: backup-and-migrate {median(ours):.2f} s, flask db upgrade {median(plain):.2f} s, {ratio:.2f}x")
    for name, took_ms in phases.items():
        print(f"    {name:16} {median(took_ms):7.0f} ms")


def go_back(site: Path, environment: dict[str, str], revision: str | None) -> None:
    if revision:
        run(site, environment, "-m", "flask", "db", "downgrade", revision)


def run(site: Path, environment: dict[str, str], *arguments: str) -> tuple[float, str]:
    """Run Python with the arguments in the site's folder; return the seconds that it took, and its output."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments], cwd=site, env=environment, check=True, capture_output=True, text=True
    )
    return time.perf_counter() - began, done.stdout


if __name__ == "__main__":
    main()
