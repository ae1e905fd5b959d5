"""What the linter says, and the names of its own rules."""

from __future__ import annotations

from dataclasses import dataclass

RULES = {
    # the file
    "message": "say in the docstring's first line what changes, in two words or more: add subtitle to blogs",
    "file-name": "name it YYYYMMDD_HHMM_verb_phrase.py, in UTC",
    "imports-application": "write the tables that it needs as sa.table(…); models change",
    "secret": "take it out, and change it where it is used: it stays in the history of the repository",
    "no-downgrade": "restore the schema in downgrade(), or raise IrreversibleMigration with the reason",
    # what the run showed
    "does-not-run": "mend the revision",
    "downgrade-fails": "mend downgrade(), or raise IrreversibleMigration with the reason",
    "downgrade-differs": "restore in downgrade() exactly what was there before upgrade()",
    "upgrade-again-differs": "leave nothing behind in downgrade(); a second upgrade must do what the first one did",
    "narrowed-on-downgrade": "first count what would not fit and refuse, as refuse_longer_than() does",
    "foreign-key-without-ondelete": "say what becomes of its rows when the parent goes: CASCADE, SET NULL, RESTRICT",
    "foreign-key-without-index": "add an index that begins with its columns, in the same revision",
    # what it does
    "more-than-one-thing": "make one revision for each table",
    "schema-and-data": "change the schema in one revision and the rows in the next",
    "unbatched-data": "change the rows in batches, see docs/MIGRATIONS.md",
    "drop-without-copy": "copy it first, or accept the loss with a reason",
    "required-without-default": "give it a server default, which fills the rows that are there and serves the old code",
    "concurrently-if-not-exists": "leave IF NOT EXISTS out; `check` names an invalid index, and it is dropped by hand",
    "concurrently-in-transaction": "put it into `with op.get_context().autocommit_block():`",
    "autocommit-not-alone": "give it a revision of its own: what ran before a failure stays, and would be done again",
    "transaction-control": "leave it out: each revision is one transaction, which Alembic ends",
    "session-setting": "use SET LOCAL, which ends with the revision; timeouts are settings of the site",
    "hidden-code": "write it as statements of the revision, or accept it with what it does",
    "native-enum": "use a text with a check constraint: the type survives a downgrade and breaks the next upgrade",
    "json-column": 'use sa.JSON().with_variant(JSONB(), "postgresql"): json has no equality, so DISTINCT fails',
    "table-lock": "nobody reads or writes the table meanwhile; do it in a planned pause, or find another way",
    # the acceptances
    "acceptance-without-reason": "write `# accepted: rule: why it does no harm here`",
    "useless-acceptance": "take the comment out",
}
"""Our rules, and what to do about a finding of each. Squawk's rules have names of their own."""


@dataclass(frozen=True, order=True)
class Finding:
    """One thing about one revision file. line: counted from 1, or 1 where no line is to blame."""

    file: str
    line: int
    rule: str
    revision: str
    text: str
    hint: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text} [{self.rule}]\n  hint: {self.hint}"


@dataclass(frozen=True)
class Remark:
    """A finding before it is known which file it is about. names: a name in quotes that its own line has, if known."""

    rule: str
    line: int
    text: str
    hint: str | None = None
    names: str | None = None
