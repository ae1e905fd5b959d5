"""PostgreSQL's statements that make what differs equal to a revision's schema."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import sqlalchemy as sa

from cms.database.differences import DEFAULT, is_variant
from cms.database.facts import Fact

Quote = Callable[[str], str]


def alter(connection: sa.Connection, missing: Sequence[Fact], replaced: Sequence[Fact]) -> Iterator[str]:
    """Yield the statements that make the missing facts of the replaced ones; what goes comes first, to free its name.

    Each missing fact is one that ``differences.Judge`` lets be missed: a plain index, or a column or a constraint that
    has a variant among the replaced.
    """
    quote = connection.dialect.identifier_preparer.quote
    going, changes = list(replaced), []
    for planned in missing:
        live = next((fact for fact in going if is_variant(planned, fact)), None)
        if live is None:
            changes.append(create_index(quote, planned))
            continue
        going.remove(live)
        if planned.kind == "constraint" and planned.definition != live.definition:
            yield drop(quote, live)
        changes.append(change(quote, planned, live))
    for fact in going:
        yield drop(quote, fact)
    yield from changes


def change(quote: Quote, planned: Fact, live: Fact) -> str:
    table, name = f"ALTER TABLE {quote(planned.table)}", quote(planned.name)
    if planned.kind == "column":
        default = DEFAULT.search(planned.definition)
        value = default[0].removeprefix(" default ") if default else "NULL"
        return f"{table} ALTER COLUMN {name} SET DEFAULT {value}"
    if planned.definition == live.definition:
        return f"{table} RENAME CONSTRAINT {quote(live.name)} TO {name}"
    return f"{table} ADD CONSTRAINT {name} {planned.definition}"


def create_index(quote: Quote, planned: Fact) -> str:
    return f"CREATE INDEX {quote(planned.name)} ON {quote(planned.table)} USING {planned.definition}"


def drop(quote: Quote, live: Fact) -> str:
    if live.kind == "index":
        return f"DROP INDEX {quote(live.name)}"
    return f"ALTER TABLE {quote(live.table)} DROP CONSTRAINT {quote(live.name)}"
