"""Let `flask db migrate` write building blocks for what would keep a big table busy, in a revision of their own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic.autogenerate.api import AutogenContext
from alembic.autogenerate.render import _render_column, _repr_type, renderers
from alembic.operations import ops
from alembic.util import rev_id

from cms.database.lint.shapes import is_narrower

SAME_FOR_ALL_ROWS = re.compile(r"now\(\)|CURRENT_\w+(?:\(\))?|[^(]*", re.IGNORECASE)
KINDS = {"foreignkey", "unique", "check"}


class BlockOp(ops.MigrateOperation):
    """The call of a building block; arguments: as Python, or what is rendered to it."""

    def __init__(self, name: str, *arguments: object, **named: object) -> None:
        self.name, self.arguments, self.named = name, arguments, named


@renderers.dispatch_for(BlockOp)
def render_block(context: AutogenContext, block: BlockOp) -> str:
    context.imports.add(f"from cms.database.operations import {block.name}")
    given = [render_argument(context, each) for each in block.arguments]
    given += [f"{name}={render_argument(context, each)}" for name, each in block.named.items()]
    return f"{block.name}({', '.join(given)})"


def render_argument(context: AutogenContext, argument: object) -> str:
    if isinstance(argument, sa.Column):
        return str(_render_column(argument, context))
    if isinstance(argument, sa.types.TypeEngine):
        return str(_repr_type(argument, context))
    if isinstance(argument, sa.ClauseElement):
        return f"sa.text({str(argument)!r})"
    if isinstance(argument, list):
        return f"[{', '.join(render_argument(context, each) for each in argument)}]"
    return repr(str(argument) if isinstance(argument, str) else argument)  # a name has a class of its own


def write_blocks(directives: list[Any]) -> None:
    """Move what blocks can do out of the revision that autogenerate found, into one that follows it."""
    (script,) = directives
    new = {each.table_name for each in script.upgrade_ops.ops if isinstance(each, ops.CreateTableOp)}
    plain: list[ops.MigrateOperation] = []
    moved: list[ops.MigrateOperation] = []
    for operation in script.upgrade_ops.ops:
        if not isinstance(operation, ops.ModifyTableOps) or operation.table_name in new:
            plain.append(operation)
            continue
        parts = [part for each in operation.ops for part in split(each)]
        # With a column go its indexes and constraints, which must be gone by then.
        kept = (
            (ops.DropIndexOp, ops.DropConstraintOp) if any(isinstance(each, ops.DropColumnOp) for each in parts) else ()
        )
        chosen = [part for part in parts if is_for_a_block(part) and not isinstance(part, kept)]
        moved += chosen
        if rest := [part for part in parts if part not in chosen]:
            plain.append(ops.ModifyTableOps(operation.table_name, rest, schema=operation.schema))
    if not moved:
        return
    up = [block for part in moved for block in as_blocks(part)]
    down = [block for part in reversed(moved) for block in as_blocks(part.reverse())]
    script.upgrade_ops.ops = plain or up
    script.downgrade_ops.ops = list(ops.UpgradeOps(plain).reverse().ops) if plain else down
    if plain:
        directives.append(following(script, up, down))


def following(script: ops.MigrationScript, up: list[BlockOp], down: list[BlockOp]) -> ops.MigrationScript:
    """Return a revision after another one."""
    after = ops.MigrationScript(
        rev_id(),
        upgrade_ops=ops.UpgradeOps(list(up)),
        downgrade_ops=ops.DowngradeOps(list(down)),
        message=f"{script.message}, in steps",
        head=script.rev_id,
    )
    after._needs_render = True  # noqa: SLF001 - Alembic marks its own so
    return after


def split(operation: ops.MigrateOperation) -> Iterator[ops.MigrateOperation]:
    """Yield one operation for each thing that changes about a column."""
    if not isinstance(operation, ops.AlterColumnOp):
        yield operation
        return
    for name in ("modify_server_default", "modify_type", "modify_nullable"):
        if getattr(operation, name) not in {None, False} or (
            name == "modify_nullable" and operation.modify_nullable is False
        ):
            about = {
                each: getattr(operation, each)
                for each in ("existing_type", "existing_nullable", "existing_server_default")
            }
            changed = {name: getattr(operation, name)}
            yield ops.AlterColumnOp(operation.table_name, operation.column_name, **about, **changed)


def is_for_a_block(operation: ops.MigrateOperation) -> bool:
    """Return whether an operation on a table that is there would keep it busy."""
    if isinstance(operation, ops.AddColumnOp):
        default = getattr(operation.column.server_default, "arg", None)
        return default is not None and not SAME_FOR_ALL_ROWS.fullmatch(str(default))
    if isinstance(operation, ops.AlterColumnOp):
        return operation.modify_nullable is not None or is_rewriting(operation)
    if isinstance(operation, ops.CreateForeignKeyOp):
        return bool(operation.kw.get("ondelete"))
    return isinstance(
        operation, ops.CreateIndexOp | ops.DropIndexOp | ops.CreateUniqueConstraintOp | ops.CreateCheckConstraintOp
    ) or (isinstance(operation, ops.DropConstraintOp) and operation.constraint_type in KINDS)


def is_rewriting(change: ops.AlterColumnOp) -> bool:
    """Return whether PostgreSQL would write the table anew for another type."""
    old, new = change.existing_type, change.modify_type
    if new is None or old is None:
        return new is not None
    return isinstance(old, sa.Integer) or not is_narrower(old, new)


def as_blocks(operation: Any) -> Iterator[BlockOp]:  # Any: one of many kinds, told apart here
    match operation:
        case ops.AddColumnOp():
            yield BlockOp("add_filled_column", operation.table_name, operation.column)
        case ops.DropColumnOp():
            yield BlockOp("drop_column", operation.table_name, operation.column_name)
        case ops.AlterColumnOp(modify_nullable=bool()):
            name = "drop_not_null" if operation.modify_nullable else "set_not_null"
            yield BlockOp(name, operation.table_name, operation.column_name)
        case ops.AlterColumnOp():
            yield BlockOp("change_type", operation.table_name, operation.column_name, operation.modify_type)
        case _:
            yield as_block_of_rules(operation)


def as_block_of_rules(operation: Any) -> BlockOp:  # Any: an index or a constraint, made or dropped
    match operation:
        case ops.CreateIndexOp():
            more = {"unique": True} if operation.unique else {}
            more |= {name: value for name, value in operation.kw.items() if name.startswith("postgresql_")}
            columns = [each if isinstance(each, str) else column_of(each) for each in operation.columns]
            return BlockOp("create_index", operation.index_name, operation.table_name, columns, **more)
        case ops.DropIndexOp():
            return BlockOp("drop_index", operation.index_name, operation.table_name)
        case ops.CreateUniqueConstraintOp():
            columns = list(operation.columns)
            return BlockOp("create_unique_constraint", operation.constraint_name, operation.table_name, columns)
        case ops.CreateCheckConstraintOp():
            condition = str(operation.condition)
            return BlockOp("create_check_constraint", operation.constraint_name, operation.table_name, condition)
        case ops.CreateForeignKeyOp():
            return BlockOp(
                "create_foreign_key",
                operation.constraint_name,
                operation.source_table,
                list(operation.local_cols),
                to=operation.referent_table,
                parent_columns=list(operation.remote_cols),
                ondelete=operation.kw["ondelete"],
            )
        case ops.DropConstraintOp():
            return BlockOp(
                "drop_constraint", operation.constraint_name, operation.table_name, operation.constraint_type
            )
    raise TypeError(f"no block for {operation!r}")


def column_of(expression: Any) -> Any:  # Any: a column, whose name says it, or an expression
    return expression.name if isinstance(expression, sa.Column) else expression
