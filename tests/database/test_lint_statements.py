"""How SQL text is taken apart for the rules: whatever stands in it, nothing is lost and nothing breaks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cms.database.lint.risk import describe_risk
from cms.database.lint.source import judge_secrets
from cms.database.lint.statements import judge_statements
from cms.database.recording import Statement, Tape, split_statements

PIECES = [
    "SELECT 1",
    "SELECT 'a;b', 'it''s; so'",
    'DROP TABLE "odd;name"',
    "DO $$ BEGIN DELETE FROM blogs; END $$",
    "DO $body$ a; $$ ; $body$",
    "SELECT 2 -- not; the end\n",
    "SELECT /* ; */ 3",
    "-- first; a comment\nUPDATE blogs SET status = 'x'",
]
WORDS = [
    "ALTER",
    "TABLE",
    "DROP",
    "COLUMN",
    "ADD",
    "CREATE",
    "INDEX",
    "CONCURRENTLY",
    "ON",
    "UPDATE",
    "SET",
    "DELETE",
    "FROM",
    "INSERT",
    "INTO",
    "SELECT",
    "WITH",
    "AS",
]


@given(st.lists(st.sampled_from(PIECES), min_size=1))
def test_statements_are_split_where_they_end_and_nowhere_else(pieces):
    found = split_statements(";\n".join(pieces))
    assert len(found) == len(pieces)
    assert all("UPDATE" not in each or each.startswith("UPDATE") for each in found)


@given(st.text())
def test_any_text_can_be_split(text):
    kept = "".join(split_statements(text))
    assert set(kept) <= set(text)


@given(
    st.lists(st.sampled_from([*WORDS, "blogs", '"blogs"', "(", ")", ",", ";", "'", "$$", "--", "\n", "x"]), max_size=30)
)
def test_any_statement_can_be_judged(words):
    statement = Statement(" ".join(words), 1)
    assert all(remark.line == 1 for remark in [*judge_statements([statement]), *judge_secrets([statement])])
    assert describe_risk([statement], None)


def test_a_statement_keeps_the_line_that_said_it():
    tape = Tape(__file__)
    tape.write("SELECT 1; SELECT 2")
    line = test_a_statement_keeps_the_line_that_said_it.__code__.co_firstlineno + 2
    assert tape.statements == [Statement("SELECT 1;", line), Statement("SELECT 2", line)]
