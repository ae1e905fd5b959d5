"""The facts of a PostgreSQL schema, from its catalog; the same on every server version for the same schema."""

# ruff: noqa: S608 - the queries are put together from literals of this file

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa

from cms.database.engines.pgtext import plain_default, plain_definition
from cms.database.errors import DatabaseUnsupported
from cms.database.facts import Fact

# A name that the search path finds stands alone, whatever its schema is called; a hidden one names its schema.
# The pretty forms of pg_get_… do the same. What an extension made is the extension's.
TABLE = "CASE WHEN pg_table_is_visible(c.oid) THEN '' ELSE n.nspname || '.' END || c.relname"
NOT_USABLE = " (not usable)"
PATH = "n.nspname = ANY (current_schemas(false))"
EXPRESSION = "pg_get_expr(d.adbin, d.adrelid)"
NOT_OF_AN_EXTENSION = "NOT EXISTS (SELECT 1 FROM pg_depend x WHERE x.objid = {}.oid AND x.deptype = 'e')"

# Each query returns table, name, definition.
FACTS = {
    "table": f"""
        SELECT {TABLE}, '', concat_ws(' ',
               CASE c.relpersistence WHEN 'u' THEN 'unlogged' END,
               CASE WHEN c.relkind = 'f' THEN 'foreign' END,
               CASE WHEN c.relkind = 'p' THEN 'partitioned ' || pg_get_partkeydef(c.oid) END,
               CASE WHEN c.relispartition THEN 'partition ' || pg_get_expr(c.relpartbound, c.oid) END,
               CASE WHEN c.relrowsecurity THEN 'with row security' END,
               CASE WHEN c.relforcerowsecurity THEN 'forced on its owner' END)
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE {PATH} AND c.relkind IN ('r', 'p', 'f') AND {NOT_OF_AN_EXTENSION.format("c")}""",
    "column": f"""
        SELECT {TABLE}, a.attname, concat_ws(' ', format_type(a.atttypid, a.atttypmod),
               CASE WHEN a.attcollation <> t.typcollation THEN 'collate ' || a.attcollation::regcollation END,
               CASE WHEN a.attnotnull THEN 'not null' END,
               CASE a.attidentity WHEN 'a' THEN 'identity always' WHEN 'd' THEN 'identity by default' END,
               CASE a.attgenerated WHEN '' THEN 'default ' WHEN 'v' THEN 'generated virtual as '
                    ELSE 'generated as ' END || {EXPRESSION})
        FROM pg_attribute a
        JOIN pg_class c ON c.oid = a.attrelid
        JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_type t ON t.oid = a.atttypid
        LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE {PATH} AND c.relkind IN ('r', 'p', 'f') AND a.attnum > 0 AND NOT a.attisdropped""",
    # contype n: PostgreSQL 18 lists each NOT NULL as a constraint too; the column says it already, but for validity.
    "constraint": f"""
        SELECT {TABLE}, k.conname, pg_get_constraintdef(k.oid, true)
               || CASE WHEN EXISTS (SELECT 1 FROM pg_trigger t
                                    WHERE t.tgconstraint = k.oid AND t.tgisinternal AND t.tgenabled <> 'O')
                  THEN ' (switched off)' ELSE '' END
               || CASE WHEN EXISTS (SELECT 1 FROM pg_index i WHERE i.indexrelid = k.conindid AND k.contype <> 'f'
                                    AND NOT (i.indisvalid AND i.indisready AND i.indislive))
                  THEN ' (its index is not usable)' ELSE '' END
        FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE {PATH} AND (k.contype IN ('p', 'u', 'f', 'c', 'x') OR k.contype = 'n' AND NOT k.convalidated)""",
    "index": f"""
        SELECT {TABLE}, x.relname,
               CASE WHEN i.indisunique THEN 'unique ' ELSE '' END
               || regexp_replace(pg_get_indexdef(i.indexrelid, 0, true), '^.*? USING ', '')
               || CASE WHEN i.indisvalid AND i.indisready AND i.indislive THEN '' ELSE '{NOT_USABLE}' END
        FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_class x ON x.oid = i.indexrelid
        JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE {PATH} AND NOT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conindid = i.indexrelid
              AND k.contype IN ('p', 'u', 'x'))""",
    "child": f"""
        SELECT {TABLE}, i.inhrelid::regclass::text, ''
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhparent JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE {PATH} AND c.relkind IN ('r', 'p')""",
    "rule": f"""
        SELECT {TABLE}, r.rulename, pg_get_ruledef(r.oid, true)
        FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE {PATH} AND r.rulename <> '_RETURN' AND {NOT_OF_AN_EXTENSION.format("c")}""",
    "policy": f"""
        SELECT {TABLE}, p.polname, concat_ws(' ', CASE WHEN p.polpermissive THEN 'permissive' ELSE 'restrictive' END,
               'for ' || p.polcmd::text, 'to ' || p.polroles::regrole[]::text,
               'using ' || pg_get_expr(p.polqual, p.polrelid),
               'with check ' || pg_get_expr(p.polwithcheck, p.polrelid))
        FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE {PATH}""",
    "trigger": f"""
        SELECT {TABLE}, t.tgname, pg_get_triggerdef(t.oid, true)
               || CASE t.tgenabled WHEN 'O' THEN '' ELSE ' (not enabled)' END
        FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE {PATH} AND NOT t.tgisinternal""",
    "view": f"""
        SELECT '', {TABLE}, CASE c.relkind WHEN 'm' THEN 'materialized ' ELSE '' END || pg_get_viewdef(c.oid)
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE {PATH} AND c.relkind IN ('v', 'm') AND {NOT_OF_AN_EXTENSION.format("c")}""",
    # The sequence of an identity column is the column's own; what the column says is enough.
    "sequence": f"""
        SELECT coalesce(o.relname, ''), s.relname, concat_ws(' ', format_type(q.seqtypid, NULL),
               'by ' || q.seqincrement, 'from ' || q.seqmin || ' to ' || q.seqmax,
               CASE WHEN q.seqcycle THEN 'cycle' END,
               'owned by ' || (SELECT a.attname FROM pg_attribute a
                               WHERE a.attrelid = d.refobjid AND a.attnum = d.refobjsubid))
        FROM pg_sequence q JOIN pg_class s ON s.oid = q.seqrelid JOIN pg_namespace n ON n.oid = s.relnamespace
        LEFT JOIN pg_depend d ON d.objid = s.oid AND d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
        LEFT JOIN pg_class o ON o.oid = d.refobjid
        WHERE {PATH} AND {NOT_OF_AN_EXTENSION.format("s")} AND d.deptype IS DISTINCT FROM 'i'""",
    "function": f"""
        SELECT '', p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')',
               concat_ws(' ', p.prokind::text, 'returns ' || pg_get_function_result(p.oid),
               'language ' || l.lanname, p.provolatile::text, CASE WHEN p.proisstrict THEN 'strict' END,
               CASE WHEN p.prosecdef THEN 'security definer' END, 'set ' || p.proconfig::text,
               'as ' || coalesce(pg_get_function_sqlbody(p.oid), p.prosrc))
        FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
        WHERE {PATH} AND {NOT_OF_AN_EXTENSION.format("p")}""",
    "type": f"""
        SELECT '', t.typname, CASE t.typtype
               WHEN 'e' THEN (SELECT 'enum ' || coalesce(string_agg(quote_literal(e.enumlabel), ', '
                              ORDER BY e.enumsortorder), '') FROM pg_enum e WHERE e.enumtypid = t.oid)
               WHEN 'd' THEN concat_ws(' ', 'domain', format_type(t.typbasetype, t.typtypmod),
                    CASE WHEN t.typnotnull THEN 'not null' END, 'default ' || t.typdefault,
                    (SELECT string_agg(pg_get_constraintdef(k.oid, true), ' ' ORDER BY k.conname)
                     FROM pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c'))
               ELSE 'composite or range' END
        FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
        WHERE {PATH} AND {NOT_OF_AN_EXTENSION.format("t")} AND (t.typtype IN ('e', 'd', 'r') OR t.typtype = 'c'
              AND EXISTS (SELECT 1 FROM pg_class c WHERE c.oid = t.typrelid AND c.relkind = 'c'))""",
}  # fmt: skip


def postgresql_facts(connection: sa.Connection) -> Iterator[Fact]:
    """Yield the fact of every object in the schemas on the search path. Raises DatabaseUnsupported if there is none."""
    if connection.exec_driver_sql("SELECT current_schema()").scalar() is None:
        raise DatabaseUnsupported(
            "the search_path names no schema that exists",
            why="so unqualified names of tables mean nothing",
            hint='look at SHOW search_path; usually it is "$user", public',
        )
    for kind, query in FACTS.items():
        for table, name, definition in connection.exec_driver_sql(query):
            if definition is not None:  # the object went away while the catalog was read
                plain = plain_column if kind == "column" else plain_definition
                yield Fact(kind, table, name, plain(" ".join(definition.split())))


def plain_column(definition: str) -> str:
    """Return a column's definition, which ends with its default if it has one, in one spelling."""
    kind, has_default, default = plain_definition(definition).partition(" default ")
    value = plain_default(kind.partition(" collate ")[0].removesuffix(" not null"), default) if has_default else None
    return kind if value is None else f"{kind} default {value}"


def list_unusable_tables(connection: sa.Connection) -> list[str]:
    """Return the tables on the search path that this role may not read and write in full. Takes no lock."""
    query = f"""
        SELECT {TABLE} FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE {PATH} AND c.relkind IN ('r', 'p') AND NOT (
            has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT')
            AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE'))
        ORDER BY 1"""
    return list(connection.exec_driver_sql(query).scalars())
