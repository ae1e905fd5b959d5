"""Ask squawk, a linter of PostgreSQL's DDL, about one revision, and leave out what is not so here.

Source: squawk's rules, each measured on PostgreSQL 15 to 18 for the locks, rewrites and scans that it warns of.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cms.database.errors import ToolMissing
from cms.database.lint.findings import Remark
from cms.database.lint.shapes import is_only_widened
from cms.database.lint.statements import CHANGES_SCHEMA
from cms.database.lint.trial import Trial
from cms.database.recording import BLOCK, Statement

OLDEST_SERVER = 15
LEFT_OUT = [
    # matters of taste, no danger to a deployment
    "prefer-bigint-over-int",
    "prefer-bigint-over-smallint",
    "prefer-identity",
    "prefer-text-field",
    "ban-char-field",
    "prefer-timestamp-tz",
    # the site sets both on the connection
    "require-lock-timeout",
    "require-statement-timeout",
    # rules of ours: one defect has one name, whether squawk is there or not
    "ban-drop-table",
    "ban-drop-column",
    "ban-truncate-cascade",
    "adding-required-field",
    "ban-concurrent-index-creation-in-transaction",
    "transaction-nesting",
    "prefer-robust-stmts",  # asks for IF NOT EXISTS, which takes what a failed build left for the index
    "ban-uncommitted-transaction",
]
ALSO = [
    "ban-disable-trigger",
    "ban-drop-trigger",
    "ban-revoke",
    "ban-alter-row-level-security",
    "ban-alter-system-options",
    "ban-alter-role-options",
]
VIRTUAL = re.compile(r".* ADD COLUMN .* GENERATED ALWAYS AS (?!.*\bSTORED\b)", re.IGNORECASE)
NEW_NULLABLE_REFERENCE = re.compile(r"ALTER TABLE \S+ ADD COLUMN (?!.*NOT NULL).*REFERENCES", re.IGNORECASE)
WITHOUT_NOT_VALID = re.compile(r"ALTER TABLE .* ADD (?:CONSTRAINT \S+ )?(?:UNIQUE|PRIMARY KEY|EXCLUDE)", re.IGNORECASE)


def find_squawk() -> str:
    """Return the program: the one beside this Python, else the one on PATH. Raises ToolMissing."""
    found = shutil.which("squawk", path=str(Path(sys.executable).parent)) or shutil.which("squawk")
    if found is None:
        hint = "python -m pip install squawk-cli"
        raise ToolMissing("squawk is not installed", why="there is none beside this Python or on PATH", hint=hint)
    return found


@dataclass(frozen=True)
class Squawk:
    """The program, and the major version of the PostgreSQL that it is asked about."""

    program: str
    server: int = OLDEST_SERVER

    def judge(self, said: Sequence[Statement], trial: Trial | None) -> Iterator[Remark]:
        """Yield what it says about an upgrade on PostgreSQL. trial: of the same revision, for the facts."""
        # Rows are none of its business, and the parameters of recorded statements have no place in SQL text.
        told = [each for each in said if CHANGES_SCHEMA.match(each.in_one_line) or each.sql.endswith(BLOCK)]
        lines, starts = ["BEGIN;"], []
        for statement in told:
            starts.append(len(lines))
            lines += [*statement.sql.rstrip(";").splitlines(), ";"]
        for found in self.run("\n".join([*lines, "COMMIT;"])):
            place = bisect_right(starts, found["line"]) - 1
            statement = told[place] if place >= 0 else Statement("", 1)
            if not is_false(found["rule_name"], statement, trial):
                hint = found["help"] or f"see https://squawkhq.com/docs/{found['rule_name']}"
                yield Remark(found["rule_name"], statement.line, found["message"], hint)

    def run(self, sql: str) -> list[dict[str, Any]]:  # Any: squawk's own JSON
        """Return its findings. Raises ToolMissing if it does not answer as expected."""
        arguments = ["--reporter", "json", f"--pg-version={self.server}"]
        arguments += ["--exclude", ",".join(LEFT_OUT), "--include", ",".join(ALSO)]
        # From the root: no .squawk.toml of the folder that we happen to be in shall change what is found.
        done = subprocess.run(
            [self.program, *arguments], input=sql, capture_output=True, text=True, check=False, timeout=30, cwd="/"
        )
        try:
            return list(json.loads(done.stdout))
        except ValueError as error:
            why = (done.stderr or done.stdout).strip()[:200]
            hint = "python -m pip install --upgrade squawk-cli"
            raise ToolMissing("squawk gives an answer that is not understood", why=why, hint=hint) from error


def is_false(rule: str, statement: Statement, trial: Trial | None) -> bool:
    """Return whether a finding is not so, by what was measured and by the types before and after."""
    sql = statement.in_one_line
    if rule == "changing-column-type":
        return is_only_widened(sql, trial)
    if rule in {"adding-foreign-key-constraint", "constraint-missing-not-valid"} and NEW_NULLABLE_REFERENCE.match(sql):
        return True  # every new value is null, so nothing is scanned
    if rule == "constraint-missing-not-valid" and WITHOUT_NOT_VALID.match(sql):
        return True  # these have no NOT VALID; disallowed-unique-constraint says what to do
    # A virtual column rewrites nothing.
    return rule == "adding-field-with-default" and VIRTUAL.match(sql) is not None
