"""A restored PostgreSQL database is made like the one that it replaces: locale, tablespace, limit of connections."""

from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest

from cms.database.engines import engine_for
from cms.database.errors import RestoreRefused
from cms.database.undo import apply_undo, plan_undo
from tests.database.backups import restore, take_backup
from tests.database.rows import connected, digests, quiet

KINDS = {
    "icu": "ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C' LOCALE_PROVIDER icu ICU_LOCALE 'de-u-kn-true'",
    "icu with rules": "ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'en' ICU_RULES '&a < z'",
    "builtin": "ENCODING 'UTF8' LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'",
    "libc": "ENCODING 'UTF8' LC_COLLATE 'C.UTF-8' LC_CTYPE 'C'",
    "latin": "ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'",
}
SINCE = {"icu with rules": 16, "builtin": 17}


@pytest.fixture
def make(postgres_target):
    """Return a function that makes the target anew with some options; what restores put aside goes at the end."""
    server = replace(postgres_target, url=postgres_target.url.set(database="postgres"))

    def make(options):
        administer(server, f"DROP DATABASE {postgres_target.database_name}")
        administer(server, f"CREATE DATABASE {postgres_target.database_name} TEMPLATE template0 {options}")
        return postgres_target

    yield make
    for name in engine_for(postgres_target).list_kept(postgres_target):
        engine_for(postgres_target).discard(postgres_target, name)


def administer(target, *statements):
    with connected(target) as connection:
        driver = connection.connection.driver_connection
        driver.autocommit = True
        for statement in statements:
            driver.execute(statement)


def facts(target):
    """Return what CREATE DATABASE decided, and the limit of connections."""
    query = """
        SELECT to_jsonb(d) - '{oid,datname,datfrozenxid,datminmxid,datacl}'::text[]
        FROM pg_database d WHERE datname = current_database()"""
    with connected(target) as connection:
        return connection.exec_driver_sql(query).scalar_one()


@pytest.mark.parametrize("kind", KINDS)
def test_a_restored_database_has_the_locale_of_the_one_it_replaces(postgres, make, kind):
    if postgres.major < SINCE.get(kind, 15):
        pytest.skip(f"PostgreSQL {postgres.major} has no databases of the kind {kind}")
    try:
        target = make(KINDS[kind])
    except psycopg.errors.FeatureNotSupported:
        pytest.skip("THIS SERVER WAS BUILT WITHOUT ICU: no database with such a locale was restored")
    number(target)
    before, order = facts(target), in_order(target)
    backup = take_backup(target)
    assert backup.proven
    restore(target, backup.folder, replace_it=True)
    assert facts(target) == before
    assert in_order(target) == order
    apply_undo(target, plan_undo(target), say=quiet)
    assert facts(target) == before


def number(target):
    with connected(target) as connection:
        connection.exec_driver_sql("CREATE TABLE numbered (name text)")
        connection.exec_driver_sql("INSERT INTO numbered VALUES ('10'), ('9'), ('z'), ('b')")


def in_order(target):
    with connected(target) as connection:
        return connection.exec_driver_sql("SELECT name FROM numbered ORDER BY name").scalars().all()


@pytest.fixture
def tablespace(postgres_target):
    """Return a tablespace inside the server's own folder, which needs no other."""
    name = f"space_{postgres_target.database_name[-8:]}"
    server = replace(postgres_target, url=postgres_target.url.set(database="postgres"))
    administer(server, "SET allow_in_place_tablespaces = on", f"CREATE TABLESPACE {name} LOCATION ''")
    yield name
    administer(
        server, f"DROP DATABASE IF EXISTS {postgres_target.database_name} WITH (FORCE)", f"DROP TABLESPACE {name}"
    )


def test_a_restored_database_lies_where_the_former_lay_and_has_its_limit(tablespace, make):
    target = make(f"TABLESPACE {tablespace} CONNECTION LIMIT 7")
    number(target)
    before, rows = facts(target), digests(target)
    backup = take_backup(target)
    assert backup.proven
    restore(target, backup.folder, replace_it=True)
    assert facts(target) == before
    assert before["datconnlimit"] == 7
    assert digests(target) == rows
    for name in engine_for(target).list_kept(target):
        engine_for(target).discard(target, name)


def test_a_tablespace_in_which_the_role_may_make_nothing_is_named(tablespace, make, postgres_target):
    role = f"plain_{postgres_target.database_name[-8:]}"
    target = make(f"TABLESPACE {tablespace}")
    administer(target, f"CREATE ROLE {role} LOGIN CREATEDB", f"ALTER DATABASE {target.database_name} OWNER TO {role}")
    plain = replace(target, url=target.url.set(username=role, password=None))
    try:
        number(plain)
        folder, before = take_backup(plain, proof=False).folder, digests(plain)
        with pytest.raises(RestoreRefused, match="may not create databases in the tablespace") as refused:
            restore(plain, folder, replace_it=True)
        assert f"GRANT CREATE ON TABLESPACE {tablespace} TO {role}" in str(refused.value.hint)
        assert digests(plain) == before
        administer(target, f"GRANT CREATE ON TABLESPACE {tablespace} TO {role}")
        assert take_backup(plain).proven
    finally:
        administer(target, f"ALTER DATABASE {target.database_name} OWNER TO CURRENT_USER", f"DROP OWNED BY {role}",
                   f"DROP ROLE {role}")  # fmt: skip
