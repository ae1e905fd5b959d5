"""What seldom goes wrong with backups and restores, and what is said then."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cms.database.backup import list_partials, plan_backup
from cms.database.engines import engine_for
from cms.database.engines.base import Definitions
from cms.database.engines.pgtools import find_tool
from cms.database.errors import BackupFailed, DatabaseUnreachable, RestoreFailed, RestoreRefused, ToolMissing
from cms.database.keys import load_key
from cms.database.manifest import read_manifest
from cms.database.restore import confirm, plan_restore
from cms.database.undo import apply_undo, plan_undo
from tests.database.backups import restore, take_backup
from tests.database.rows import connected, digests, quiet


def test_a_database_that_somebody_changed_right_after_the_restore_is_told(filled):
    folder = take_backup(filled, proof=False).folder
    result = restore(filled, folder, replace_it=True)
    manifest = read_manifest(folder, load_key(filled))
    confirm(filled, manifest, result.kept)
    with connected(filled) as connection:
        connection.exec_driver_sql("ALTER TABLE users ADD COLUMN later TEXT")
    with pytest.raises(RestoreFailed, match="does not hold backup") as failed:
        confirm(filled, manifest, result.kept)
    assert f"what was there before is kept as {result.kept}" in str(failed.value.hint)
    with pytest.raises(RestoreFailed) as failed:
        confirm(filled, manifest, None)
    assert "kept as" not in str(failed.value.hint)


def test_a_restore_over_what_is_no_database_is_refused_and_leaves_it(filled, elsewhere):
    folder = take_backup(filled, proof=False).folder
    if filled.engine_name == "sqlite":
        path = Path(elsewhere.url.database)
        path.parent.mkdir()
        path.write_text("a letter, and no database at all")
    else:
        elsewhere = replace(elsewhere, url=elsewhere.url.set(port=1))
    with pytest.raises(DatabaseUnreachable):
        plan_restore(elsewhere, folder, replacing=True, into=elsewhere.database_name)
    assert filled.engine_name == "postgresql" or path.read_text().startswith("a letter")


def test_definitions_by_another_tool_or_of_another_server_say_nothing():
    here = Definitions("pg_dump 15.1 of 15.1", "a", "p", (), ())
    assert here.differs_in(Definitions("pg_dump 16.1 of 15.1", "b", "q", (), ())) == []
    assert here.differs_in(Definitions("pg_dump 15.1 of 15.1", "b", "q", (), ())) == [
        "the definitions",
        "owners and grants",
    ]
    assert here.differs_in(Definitions("pg_dump 15.1 of 15.1", "a", None, (), ())) == []


def test_a_role_that_lost_its_right_to_make_databases_cannot_undo_and_is_told_why(postgres_target):
    role, name = f"plain_{postgres_target.database_name[-8:]}", postgres_target.database_name
    with connected(postgres_target) as connection:
        connection.exec_driver_sql(f"CREATE ROLE {role} LOGIN CREATEDB")
        connection.exec_driver_sql(f"ALTER DATABASE {name} OWNER TO {role}")
    plain = replace(postgres_target, url=postgres_target.url.set(username=role, password=None))
    try:
        with connected(plain) as connection:
            connection.exec_driver_sql("CREATE TABLE things (id integer)")
        folder = take_backup(plain).folder
        restore(plain, folder, replace_it=True)
        with connected(postgres_target) as connection:
            connection.exec_driver_sql(f"ALTER ROLE {role} NOCREATEDB")
        before = digests(plain)
        with pytest.raises(RestoreRefused, match="may not create or rename databases"):
            apply_undo(plain, plan_undo(plain), say=quiet)
        with pytest.raises(RestoreRefused, match="may not create or rename databases"):
            restore(plain, folder, replace_it=True)
        with pytest.raises(BackupFailed, match="could not be proven"):
            plan_backup(plain)
        assert digests(plain) == before
        engine_for(postgres_target).discard(postgres_target, plan_undo(plain).former)
    finally:
        with connected(postgres_target) as connection:
            connection.exec_driver_sql(f"ALTER DATABASE {name} OWNER TO CURRENT_USER")
            connection.exec_driver_sql(f"DROP OWNED BY {role}")
            connection.exec_driver_sql(f"DROP ROLE {role}")


def test_a_program_on_the_path_is_taken_if_it_fits_and_named_as_missing_if_none_does(target, tmp_path, monkeypatch):
    program = tmp_path / "pg_dump"
    program.write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 98.7'\n")
    program.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    anywhere = replace(target, pg_bin_dir=None)
    assert find_tool("pg_dump", anywhere, 98).path == str(program)
    with pytest.raises(ToolMissing, match="no pg_dump fits the server") as missing:
        find_tool("pg_dump", anywhere, 99)
    assert "searched PATH and /usr/lib/postgresql/*/bin" in str(missing.value.why)
    program.write_text("#!/bin/sh\necho 'it has no version'\n")
    with pytest.raises(ToolMissing):
        find_tool("pg_dump", anywhere, 98)
    program.write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(ToolMissing):
        find_tool("pg_dump", anywhere, 98)


def test_a_folder_for_backups_that_is_not_there_holds_no_leftovers(target):
    assert list_partials(target.backup_dir) == []
