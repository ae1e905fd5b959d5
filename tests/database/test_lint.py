"""`lint-migrations`: planted defects are named with their line, and good revisions are left alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from cms.database.engines import engine_for
from cms.database.errors import RevisionUnknown
from cms.database.fingerprint import read_fingerprint
from cms.database.history import get_head, load_scripts
from cms.database.lint import squawk
from cms.database.lint.report import LintReport, lint_migrations
from cms.database.target import Target
from tests.database.planted import GOOD, PLANTED
from tests.database.rows import FIRST, NEWEST, REVISIONS, SECOND, connected, count_after, upgrade

ROOT = Path(__file__).resolve().parents[2]
PLANT = "feedfacecafe"
HEAD = """\"\"\"{message}\"\"\"

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from cms.database.operations import refuse_longer_than

revision = "feedfacecafe"
down_revision = "{parent}"
"""


@dataclass(frozen=True)
class Plot:
    """A copy of the history in which revisions can be planted."""

    target: Target

    @property
    def versions(self) -> Path:
        return self.target.migrations_dir / "versions"

    def plant(self, body: str, *, message="add subtitle to blogs", name="20990101_0000_planted.py") -> str:
        parent = get_head(load_scripts(self.target))
        text = HEAD.format(message=message, parent=parent) + body
        (self.versions / name).write_text(text)
        return text

    def lint(self, body: str, **details: str) -> LintReport:
        """Plant one revision and look at it alone."""
        since = get_head(load_scripts(self.target))
        self.plant(body, **details)
        return lint_migrations(self.target, since=since)


@pytest.fixture
def plot(target, tmp_path):
    shutil.copytree(target.migrations_dir, tmp_path / "migrations", ignore=lambda *_: ["__pycache__"])
    return Plot(replace(target, migrations_dir=tmp_path / "migrations"))


def rules(report):
    return [finding.rule for finding in report.findings]


@pytest.mark.parametrize("defect", PLANTED)
def test_a_planted_defect_is_named_with_its_line(plot, defect):
    rule, body = PLANTED[defect]
    text = plot.plant(body)
    marked = [number for number, line in enumerate(text.splitlines(), start=1) if "# <-" in line] or [1]
    report = lint_migrations(plot.target, since=NEWEST)
    assert (rule, marked[0]) in [(finding.rule, finding.line) for finding in report.findings]


@pytest.mark.parametrize("pattern", GOOD)
def test_a_good_revision_is_left_alone(plot, pattern):
    report = plot.lint(GOOD[pattern])
    assert report.findings == ()
    assert report.revisions == (PLANT,)


def test_the_projects_own_history_is_clean(target):
    report = lint_migrations(target, everything=True)
    assert report.findings == ()
    assert len(report.revisions) == len(list((target.migrations_dir / "versions").glob("*.py")))


@pytest.mark.parametrize("message", ["", "update", "fix schema", "wip", "new migration", "misc db changes"])
def test_a_message_that_says_nothing_is_found(plot, message):
    assert "message" in rules(plot.lint(GOOD["a column"], message=message))


@pytest.mark.parametrize("message", ["add mood", "drop redirects of deleted posts", "merge heads"])
def test_a_message_that_says_something_is_left_alone(plot, message):
    assert rules(plot.lint(GOOD["a column"], message=message)) == []


def test_a_file_whose_name_does_not_say_when_and_what_is_found(plot):
    assert rules(plot.lint(GOOD["a column"], name="feedfacecafe_.py")) == ["file-name"]


def test_a_secret_is_found_and_never_shown(plot):
    report = plot.lint(PLANTED["a password stands in an address"][1])
    assert "secret" in rules(report)
    assert "lovelace" not in str(report)


# --- accepting a finding


def test_a_finding_is_accepted_with_a_reason_and_is_shown_with_it(plot):
    body = "# accepted: drop-without-copy: nothing reads it since 2.0, and it was always empty\n"
    report = plot.lint(body + PLANTED["a column is dropped without a copy"][1])
    assert report.findings == ()
    assert report.exit_code == 0
    (accepted,) = report.accepted
    assert accepted.finding.rule == "drop-without-copy"
    assert "nothing reads it since 2.0" in str(report)


@pytest.mark.parametrize("comment", ["# accepted: drop-without-copy", "# accepted: drop-without-copy: ok"])
def test_an_acceptance_without_a_reason_is_a_finding(plot, comment):
    report = plot.lint(f"{comment}\n" + PLANTED["a column is dropped without a copy"][1])
    assert "acceptance-without-reason" in rules(report)


def test_an_acceptance_of_what_was_not_found_is_a_finding(plot):
    report = plot.lint("# accepted: drop-without-copy: nothing reads it since 2.0\n" + GOOD["a column"])
    assert rules(report) == ["useless-acceptance"]


def test_a_finding_of_squawk_is_accepted_too(plot):
    comment = "# accepted: require-concurrent-index-creation: the table has a hundred rows\n"
    assert plot.lint(comment + PLANTED["an index blocks writers"][1]).findings == ()


# --- what is looked at


def test_by_default_it_looks_at_what_the_database_lacks_and_at_what_is_not_committed(plot):
    upgrade(plot.target, FIRST)
    assert len(lint_migrations(plot.target).revisions) == count_after(FIRST)
    upgrade(plot.target)
    assert lint_migrations(plot.target).revisions == ()
    for command in (["init", "-q"], ["add", "."], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x"]):
        subprocess.run(["git", "-C", str(plot.versions), *command], check=True)
    plot.plant(GOOD["a column"])
    upgrade(plot.target)
    report = lint_migrations(plot.target)
    assert report.revisions == (PLANT,)
    assert "not committed" in report.scope


def test_since_looks_at_the_revisions_after_one(target):
    report = lint_migrations(target, since=SECOND[:6])
    assert len(report.revisions) == count_after(SECOND)
    assert SECOND in report.scope


def test_since_an_unknown_revision_is_a_message(target):
    with pytest.raises(RevisionUnknown, match="nonsense"):
        lint_migrations(target, since="nonsense")


def test_a_merge_is_looked_at_and_left_alone(plot):
    head = get_head(load_scripts(plot.target))
    for identity in ("a" * 12, "b" * 12):
        (plot.versions / f"20990101_0000_branch_{identity[0]}.py").write_text(
            HEAD.format(message=f"add branch {identity[0]}", parent=head).replace(PLANT, identity)
            + GOOD["a column"].replace("subtitle", f"subtitle_{identity[0]}")
        )
    (plot.versions / "20990102_0000_merge_heads.py").write_text(
        f'"""merge heads"""\n\nrevision = "{"c" * 12}"\ndown_revision = ("{"a" * 12}", "{"b" * 12}")\n\n\n'
        "def upgrade():\n    pass\n\n\ndef downgrade():\n    pass\n"
    )
    report = lint_migrations(plot.target, since=head)
    assert report.findings == ()
    assert len(report.revisions) == 3


def test_nothing_is_left_in_the_database_whatever_a_revision_does(plot):
    upgrade(plot.target, NEWEST)
    with connected(plot.target) as connection:
        before = read_fingerprint(connection), engine_for(plot.target).list_tables(connection)
    plot.lint(PLANTED["the transaction is ended"][1])
    with connected(plot.target) as connection:
        assert (read_fingerprint(connection), engine_for(plot.target).list_tables(connection)) == before
        assert "cms_fingerprint" not in sa.inspect(connection).get_schema_names()


def test_a_statement_that_would_leave_the_scratch_place_is_not_run(plot):
    report = plot.lint(
        "\n\ndef upgrade():\n    op.execute('DROP TABLE public.blogs')\n\n\ndef downgrade():\n    pass\n"
    )
    assert "does-not-run" in rules(report)
    assert any("tables of others" in finding.text for finding in report.findings)


# --- what could not be looked at


def test_without_squawk_it_says_loudly_what_was_not_checked(plot, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    monkeypatch.setenv("PATH", "/nowhere")
    report = plot.lint(PLANTED["an index blocks writers"][1])
    assert "require-concurrent-index-creation" not in rules(report)
    assert any("squawk is not installed" in line for line in report.unchecked)
    assert "NOT CHECKED: locks and rewrites" in str(report)


def test_on_sqlite_it_says_that_postgresql_was_not_tried(sqlite_target):
    report = lint_migrations(sqlite_target, everything=True)
    assert any("the run on PostgreSQL" in line for line in report.unchecked)


def test_on_postgresql_both_engines_are_tried(postgres_target):
    assert lint_migrations(postgres_target, everything=True).unchecked == ()


READS = """

def upgrade():
    if op.get_bind().execute(sa.text("SELECT 1")).scalar_one():
        op.create_index("ix_b", "blogs", ["title"])


def downgrade():
    op.drop_index("ix_b", "blogs")
"""


def test_a_revision_that_reads_is_judged_by_what_it_said_on_postgresql(postgres_target, tmp_path):
    shutil.copytree(postgres_target.migrations_dir, tmp_path / "migrations", ignore=lambda *_: ["__pycache__"])
    plot = Plot(replace(postgres_target, migrations_dir=tmp_path / "migrations"))
    assert "require-concurrent-index-creation" in rules(plot.lint(READS))


def test_a_revision_that_reads_is_said_not_to_be_checked_where_there_is_only_sqlite(sqlite_target, tmp_path):
    shutil.copytree(sqlite_target.migrations_dir, tmp_path / "migrations", ignore=lambda *_: ["__pycache__"])
    plot = Plot(replace(sqlite_target, migrations_dir=tmp_path / "migrations"))
    assert any(f"the SQL of {PLANT}" in line for line in plot.lint(READS).unchecked)


def test_a_role_that_may_not_make_a_schema_is_told_that_nothing_was_tried(postgres_target):
    upgrade(postgres_target)
    with connected(postgres_target) as connection:
        connection.exec_driver_sql("CREATE ROLE poor LOGIN")
    try:
        report = lint_migrations(
            replace(postgres_target, url=postgres_target.url.set(username="poor")), everything=True
        )
        assert report.findings == ()
        assert any("permission denied" in line for line in report.unchecked)
    finally:
        with connected(postgres_target) as connection:
            connection.exec_driver_sql("DROP ROLE poor")


def test_revisions_after_one_that_cannot_be_applied_are_said_not_to_be_tried(plot):
    since = get_head(load_scripts(plot.target))
    plot.plant(PLANTED["upgrade fails"][1])
    (plot.versions / "20990102_0000_next.py").write_text(
        HEAD.format(message="add more to blogs", parent=PLANT).replace(
            f'revision = "{PLANT}"', 'revision = "abadcafe0001"', 1
        )
        + GOOD["a column"]
    )
    report = lint_migrations(plot.target, since=since)
    assert "does-not-run" in rules(report)
    assert any("abadcafe0001" in line for line in report.unchecked)


def test_an_answer_of_squawk_that_is_not_understood_is_a_message(plot, monkeypatch, tmp_path):
    odd = tmp_path / "squawk"
    odd.write_text("#!/bin/sh\necho nonsense\n")
    odd.chmod(0o700)
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert squawk.find_squawk() == str(odd)
    assert any("not understood" in line for line in plot.lint(GOOD["a column"]).unchecked)


# --- the command


def run(environment, *arguments, tree=ROOT):
    command = [sys.executable, "manage.py", "lint-migrations", *arguments]
    return subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)


def test_the_command_looks_at_the_whole_history(environment):
    done = run(environment, "--all", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert report["findings"] == []
    assert report["scope"] == "the whole history"


@pytest.fixture
def wrong_tree(tmp_path):
    """Return a copy of the project with a revision in it that says nothing."""
    for name in ("cms", "migrations"):
        shutil.copytree(ROOT / name, tmp_path / "tree" / name, ignore=lambda *_: ["__pycache__"])
    for name in ("config.py", "manage.py"):
        shutil.copy(ROOT / name, tmp_path / "tree" / name)
    file = tmp_path / "tree/migrations/versions/20990101_0000_planted.py"
    file.write_text(HEAD.format(message="wip", parent=NEWEST) + GOOD["a column"])
    return tmp_path / "tree"


def test_a_finding_ends_the_command_with_3_and_names_file_and_line(environment, wrong_tree):
    done = run(environment, "--since", REVISIONS[-2], tree=wrong_tree)
    assert done.returncode == 3, done.stderr
    assert done.stdout.startswith("migrations/versions/20990101_0000_planted.py:1: ")
    assert "[message]" in done.stdout


def test_findings_are_shown_as_annotations_of_a_pull_request(environment, wrong_tree):
    done = run(environment, "--since", REVISIONS[-2], "--format", "github", tree=wrong_tree)
    assert done.returncode == 3
    first = "::error file=migrations/versions/20990101_0000_planted.py,line=1,title=message::the message 'wip' does not"
    assert done.stdout.startswith(first)


def test_format_json_is_what_json_prints(environment, wrong_tree):
    one = json.loads(run(environment, "--since", REVISIONS[-2], "--format", "json", tree=wrong_tree).stdout)
    other = json.loads(run(environment, "--since", REVISIONS[-2], "--json", tree=wrong_tree).stdout)
    assert one["findings"] == other["findings"] != []
    assert one.keys() == other.keys()


def test_all_and_since_together_are_a_wrong_call(environment):
    assert run(environment, "--all", "--since", "c05d").returncode == 2
