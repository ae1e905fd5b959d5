"""Checks of the revisions themselves: would a pending one hurt, was an applied one changed, is a model left out."""

from __future__ import annotations

import ast
from pathlib import Path

import sqlalchemy as sa
from alembic.script import ScriptDirectory

from cms.checks.messages import Problem, info, warning
from cms.checks.registry import register
from cms.database.checks import find_current
from cms.database.history import get_script, is_known, list_pending
from cms.database.journal import JournalEntry, read_journal
from cms.database.lint.report import lint_chosen
from cms.database.revision_files import checksum_of
from cms.database.target import ROOT, Target


@register("history")
def check_pending_revisions(target: Target, connection: sa.Connection, scripts: ScriptDirectory) -> list[Problem]:
    """history.W001: a pending revision would hurt. history.I002: what was not looked at. history.I003: who waits.

    Runs the pending revisions in a scratch place of the database's own kind.
    """
    current = find_current(connection, scripts)
    if current is None or len(scripts.get_heads()) != 1:
        return []
    pending = [revision.id for revision in list_pending(scripts, current)]
    report = lint_chosen(target, scripts, pending, "pending", engines=(target.engine_name,))
    return [
        *(
            warning("history.W001", f"{found.text}: {found.file}:{found.line} ({found.rule})", hint=found.hint)
            for found in report.findings
        ),
        *(info("history.I002", f"not looked at: {line}", hint="mend that, or rehearse") for line in report.unchecked),
        *(info("history.I003", line, hint="choose the hour of the upgrade by that") for line in report.risks),
    ]


@register("history")
def check_applied_revisions(connection: sa.Connection, scripts: ScriptDirectory) -> list[Problem]:
    """history.W004: the file of a revision was changed after it was applied, so other databases get another schema."""
    newest: dict[str, JournalEntry] = {}
    for entry in read_journal(connection):
        newest[entry.revision] = entry
    return [
        warning(
            "history.W004",
            f"the file of revision {entry.revision} is not the one that was applied on {entry.applied_at:%Y-%m-%d}",
            hint="undo the change, and write a new revision for what it was meant to do",
        )
        for entry in newest.values()
        if entry.direction == "upgrade" and entry.checksum and is_known(scripts, entry.revision)
        if checksum_of(get_script(scripts, entry.revision).path) != entry.checksum
    ]


@register("history")
def check_models_registered(metadata: sa.MetaData) -> list[Problem]:
    """history.W005: a model that the program never imports, so that autogenerate would drop its table."""
    return [
        warning(
            "history.W005",
            f"the table {table} of {file.relative_to(ROOT)} is not among the site's models",
            hint="import the module where its feature is set up, or delete it",
        )
        for file in sorted((ROOT / "cms").rglob("models.py"))
        for table in list_table_names(file)
        if table not in metadata.tables
    ]


def list_table_names(file: Path) -> list[str]:
    """Return what the classes in a file set as ``__tablename__``, without importing it."""
    return [
        str(node.value.value)
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        if any(isinstance(target, ast.Name) and target.id == "__tablename__" for target in node.targets)
    ]
