"""What the schema is at each revision: read from the committed file of the engine, or found by running the history.

The files, ``migrations/fingerprints/*.json``, hold for each revision the facts that it adds and takes away, so that a
review shows what a revision does to each engine. `./dev fingerprints` writes them, a test keeps them true.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic.script import ScriptDirectory

from cms.database.facts import Fact
from cms.database.fingerprint import Fingerprint, read_fingerprint
from cms.database.history import get_script, list_revisions
from cms.database.recording import record
from cms.database.revision_files import checksum_of
from cms.database.scratch import scratch_place
from cms.database.target import Target

Steps = list[dict[str, Any]]  # Any: a JSON object of texts and of lists of facts


def read_expected(target: Target, scripts: ScriptDirectory) -> dict[str, Fingerprint]:
    """Return what the schema looks like at each revision, oldest first.

    From the committed file if that was made of exactly these revision files, else as ``replay_history`` finds it.
    Raises what ``replay_history`` raises.
    """
    try:
        steps = json.loads(file_of(target).read_text(encoding="utf-8"))
    except FileNotFoundError:
        steps = []
    if [(step["revision"], step["checksum"]) for step in steps] == list(checksums(scripts)):
        return dict(added_up(steps))
    return replay_history(target, scripts)


def write_expected(target: Target, scripts: ScriptDirectory) -> Path:
    """Run the history and write the file that ``read_expected`` reads. Raises what ``replay_history`` raises."""
    file = file_of(target)
    file.parent.mkdir(exist_ok=True)
    file.write_text(render(replay_history(target, scripts), dict(checksums(scripts))), encoding="utf-8")
    return file


def file_of(target: Target) -> Path:
    return target.migrations_dir / "fingerprints" / f"{target.engine_name}.json"


def checksums(scripts: ScriptDirectory) -> Iterator[tuple[str, str]]:
    for revision in list_revisions(scripts):
        yield revision.id, checksum_of(get_script(scripts, revision.id).path)


def added_up(steps: Steps) -> Iterator[tuple[str, Fingerprint]]:
    facts: set[Fact] = set()
    for step in steps:
        facts -= {Fact(*fact) for fact in step["removed"]}
        facts |= {Fact(*fact) for fact in step["added"]}
        yield step["revision"], Fingerprint(tuple(sorted(facts)))


def render(expected: Mapping[str, Fingerprint], files: Mapping[str, str]) -> str:
    """Return the file's text: one fact on a line, so that a change of the schema reads well.

    files: the checksum of each revision's file.
    """
    steps, before = [], Fingerprint(())
    for revision, after in expected.items():
        head = f' {{"revision": "{revision}", "checksum": "{files[revision]}"'
        lists = [
            f'  "{name}": [{",".join(f"{chr(10)}   {as_json(fact)}" for fact in facts)}]'
            for name, facts in (("added", after.missing_from(before)), ("removed", before.missing_from(after)))
        ]
        steps.append(",\n".join([head, *lists]) + "}")
        before = after
    return "[\n" + ",\n".join(steps) + "\n]\n"


def as_json(fact: Fact) -> str:
    return json.dumps([fact.kind, fact.table, fact.name, fact.definition], ensure_ascii=False)


def replay_history(target: Target, scripts: ScriptDirectory) -> dict[str, Fingerprint]:
    """Return what the schema looks like at each revision, oldest first, by running the history in a scratch place.

    Raises DatabaseUnreachable, DatabaseUnsupported if the role may not make a schema, and whatever a revision raises.
    """
    with scratch_place(target) as connection:
        return dict(run_history(connection, scripts))


def run_history(connection: sa.Connection, scripts: ScriptDirectory) -> Iterator[tuple[str, Fingerprint]]:
    """Run each revision in the connection's one transaction, also what asks to be outside of it."""
    for revision in list_revisions(scripts):
        record(connection, get_script(scripts, revision.id), "upgrade")
        yield revision.id, read_fingerprint(connection)
