"""`lint-migrations` as one operation: choose revisions, judge each, say what was found and what was not checked."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from alembic.script import Script, ScriptDirectory

from cms.database.errors import ToolMissing
from cms.database.history import get_script, list_pending, list_revisions, load_scripts, read_current_of
from cms.database.lint.acceptance import judge_acceptances, read_acceptances
from cms.database.lint.evidence import Evidence, gather, said_on
from cms.database.lint.findings import RULES, Finding, Remark
from cms.database.lint.risk import describe_risk
from cms.database.lint.shapes import judge_trial
from cms.database.lint.source import Source, judge_secrets, judge_source, list_row_changes
from cms.database.lint.statements import judge_rows, judge_statements
from cms.database.lint.trial import Trial
from cms.database.revision_files import list_uncommitted
from cms.database.target import ROOT, Target
from cms.words import counted

FOUND = 3
BOTH = ("sqlite", "postgresql")


@dataclass(frozen=True)
class Accepted:
    """A finding that the revision's author accepted, and why."""

    finding: Finding
    reason: str

    def __str__(self) -> str:
        return f"{self.finding.file}:{self.finding.line}: {self.finding.rule} is accepted: {self.reason}"


@dataclass(frozen=True)
class LintReport:
    """What was found. scope: which revisions were looked at, in words; unchecked: what was not looked at, and why.

    risks: one line for each revision: what it does, on PostgreSQL if that was asked for, and who waits.
    """

    scope: str
    revisions: tuple[str, ...]
    findings: tuple[Finding, ...]
    accepted: tuple[Accepted, ...]
    unchecked: tuple[str, ...]
    risks: tuple[str, ...]
    duration_ms: int

    @property
    def exit_code(self) -> int:
        return FOUND if self.findings else 0

    def __str__(self) -> str:
        lines = [*(str(each) for each in (*self.findings, *self.accepted)), *self.risks]
        lines += [f"NOT CHECKED: {each}" for each in self.unchecked]
        found = counted(len(self.findings), "finding") if self.findings else "no findings"
        took = f"{self.duration_ms / 1000:.1f} s"
        return "\n".join([*lines, f"{found} in {counted(len(self.revisions), 'revision')} ({self.scope}), {took}"])


def lint_migrations(target: Target, *, everything: bool = False, since: str | None = None) -> LintReport:
    """Look at the revisions that the database lacks and at those that are not committed; or at all; or after one.

    since: an id or a unique beginning of one, or "base". Runs revisions in scratch places (SQLite in memory; on
    PostgreSQL a schema in a transaction that is rolled back), reads their files, asks squawk where it is installed.
    Takes no lock that anybody waits for. Raises HistoryBroken, RevisionUnknown, DatabaseUnreachable.
    """
    scripts = load_scripts(target)
    history = [each.id for each in list_revisions(scripts)]
    if everything:
        return lint_chosen(target, scripts, history, "the whole history")
    if since is not None:
        after = None if since == "base" else get_script(scripts, since).revision
        return lint_chosen(target, scripts, pending_after(scripts, after), f"after {after or 'base'}")
    uncommitted = list_uncommitted(target.migrations_dir / "versions")
    pending = pending_after(scripts, read_current_of(target, scripts))
    chosen = [each for each in history if each in pending or file_of(get_script(scripts, each)) in uncommitted]
    return lint_chosen(target, scripts, chosen, f"not in {target.name} yet or not committed; --all looks at every one")


def pending_after(scripts: ScriptDirectory, revision: str | None) -> list[str]:
    return [each.id for each in list_pending(scripts, revision)]


def lint_chosen(
    target: Target, scripts: ScriptDirectory, chosen: Sequence[str], scope: str, *, engines: Sequence[str] = BOTH
) -> LintReport:
    """Do what ``lint_migrations`` does, for the revisions of these ids, oldest first, on one engine or both."""
    if not chosen:
        return LintReport(scope, (), (), (), (), (), 0)
    began = time.monotonic()
    evidence = gather(target, scripts, chosen, engines)
    verdicts = [judge(scripts, revision, evidence) for revision in chosen]
    return LintReport(
        scope,
        tuple(chosen),
        tuple(finding for verdict in verdicts for finding in verdict.findings),
        tuple(accepted for verdict in verdicts for accepted in verdict.accepted),
        (*evidence.unchecked, *(line for verdict in verdicts for line in verdict.unchecked)),
        tuple(
            f"{each} ({get_script(scripts, each).doc}): {verdict.risk}"
            for each, verdict in zip(chosen, verdicts, strict=True)
        ),
        round((time.monotonic() - began) * 1000),
    )


@dataclass(frozen=True)
class Verdict:
    """What was found in one revision."""

    findings: tuple[Finding, ...]
    accepted: tuple[Accepted, ...]
    unchecked: tuple[str, ...]
    risk: str


def judge(scripts: ScriptDirectory, revision: str, evidence: Evidence) -> Verdict:
    """Apply every rule to one revision, and take out what its author accepted."""
    script = get_script(scripts, revision)
    source = Source.of(script)
    remarks = list(judge_source(script, source))
    for trial in evidence.trials[revision].values():
        remarks += [*judge_trial(trial, source), *judge_rows(trial, list_row_changes(source))]
    unchecked: tuple[str, ...] = ()
    if "postgresql" in evidence.engines:
        in_sql, unchecked = judge_sql(scripts, revision, evidence)
        remarks += in_sql
    acceptances = read_acceptances(source)
    reasons = {each.rule: each.reason for each in acceptances if each.reason}
    remarks += judge_acceptances(
        acceptances,
        remarks,
        both_engines=set(evidence.engines) == set(BOTH),
        squawk_asked=evidence.squawk is not None,
    )
    found = [(as_finding(script, source, remark), reasons.get(remark.rule)) for remark in unique(remarks)]
    return Verdict(
        tuple(finding for finding, reason in found if reason is None),
        tuple(Accepted(finding, reason) for finding, reason in found if reason is not None),
        unchecked,
        describe_risk(said_on(scripts, revision, evidence) or (), first_trial(revision, evidence)),
    )


def first_trial(revision: str, evidence: Evidence) -> Trial | None:
    return next(iter(evidence.trials[revision].values()), None)


def judge_sql(scripts: ScriptDirectory, revision: str, evidence: Evidence) -> tuple[list[Remark], tuple[str, ...]]:
    """Return what is wrong with what an upgrade says to PostgreSQL, and what could not be looked at."""
    said = said_on(scripts, revision, evidence)
    if said is None:
        return [], (f"the SQL of {revision} for PostgreSQL: it reads the database, and no PostgreSQL was asked",)
    remarks = [*judge_statements(said), *judge_secrets(said)]
    try:
        remarks += evidence.squawk.judge(said, first_trial(revision, evidence)) if evidence.squawk else []
    except ToolMissing as mute:
        return remarks, (f"locks and rewrites of {revision}: {mute.what}: {mute.why} ({mute.hint})",)
    return remarks, ()


def unique(remarks: Sequence[Remark]) -> Iterator[Remark]:
    """Yield each remark once, by line; two engines often show the same."""
    yield from sorted(set(remarks), key=lambda remark: (remark.line, remark.rule, remark.text))


def as_finding(script: Script, source: Source, remark: Remark) -> Finding:
    shown = source.path.relative_to(ROOT) if source.path.is_relative_to(ROOT) else source.path
    line = source.line_naming(remark.line, remark.names) if remark.names else remark.line
    return Finding(str(shown), line, remark.rule, script.revision, remark.text, remark.hint or RULES[remark.rule])


def file_of(script: Script) -> Path:
    return Path(str(script.module.__file__))
