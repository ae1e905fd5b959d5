"""`flask db revision`, `migrate` and `merge`: what a developer gets."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.database.rows import NEWEST, upgrade

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def flask_db(sqlite_target, tmp_path):
    return flask_db_of(sqlite_target, tmp_path)


def flask_db_of(target, tmp_path):
    """Return `flask db` on a copy of migrations/, and the folder of that copy's files."""
    upgrade(target)
    folder = tmp_path / "migrations"
    shutil.copytree(ROOT / "migrations", folder, ignore=lambda *_: ["__pycache__"])

    def run(command, *arguments, path=os.environ["PATH"], program=("-m", "flask")):
        return subprocess.run(
            [sys.executable, *program, "db", command, "-d", str(folder), *arguments],
            env={"PATH": path, "DATABASE_URL": target.url.render_as_string(hide_password=False)},
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip

    run.versions = folder / "versions"
    return run


def new_files(flask_db):
    return [path for path in flask_db.versions.glob("*.py") if not (ROOT / "migrations/versions" / path.name).exists()]


def add_branches(flask_db):
    for identity, title in (("a" * 12, "one"), ("b" * 12, "other")):
        (flask_db.versions / f"20990101_0000_{title}.py").write_text(
            f'"""{title} branch"""\nrevision = "{identity}"\ndown_revision = "{NEWEST}"\n'
            "def upgrade(): pass\ndef downgrade(): pass\n"
        )


def test_a_new_revision_is_dated_and_opens_with_the_rules(flask_db):
    assert flask_db("revision", "-m", "Add subtitle").returncode == 0
    (file,) = new_files(flask_db)
    assert file.stem.endswith("_add_subtitle")
    assert file.stem[:8].isdecimal()
    assert "old code keeps working on the new schema" in file.read_text()
    assert "import sqlalchemy as sa" in file.read_text()


def test_two_revisions_of_one_minute_and_message_are_two_files(flask_db):
    for _ in range(2):
        assert flask_db("revision", "-m", "Add subtitle").returncode == 0
    first, second = sorted(new_files(flask_db), key=lambda file: len(file.stem))
    if first.stem[:13] == second.stem[:13]:
        assert second.stem.startswith(f"{first.stem}_")
    assert first.read_text() != second.read_text()


def test_without_a_difference_no_file_is_made(flask_db):
    done = flask_db("migrate", "-m", "nothing")
    assert done.returncode == 0
    assert "no file was made" in done.stderr
    assert new_files(flask_db) == []


MODELS_CHANGE = """
import os
import sqlalchemy as sa
from cms.database.schema import Base
import cms.blogs.models
is_sqlite = os.environ["DATABASE_URL"].startswith("sqlite")
random = sa.text("(lower(hex(randomblob(16))))" if is_sqlite else "gen_random_uuid()")
blogs, users = Base.metadata.tables["blogs"], Base.metadata.tables["users"]
blogs.append_column(sa.Column("mood", sa.String(20)))
blogs.append_column(sa.Column("editor_id", sa.Uuid, sa.ForeignKey("users.uuid", ondelete="SET NULL"), index=True))
blogs.append_column(sa.Column("key", sa.Uuid, nullable=False, server_default=random))
blogs.c.word_count.type = sa.BigInteger()
blogs.c.summary.nullable = False
blogs.append_constraint(sa.UniqueConstraint("author_id", "title", name="blogs_author_id_title_key"))
users.c.bio.type = sa.String(500)
from flask.cli import main
main()
"""
WRITTEN = """\
    create_index("ix_blogs_editor_id", "blogs", ["editor_id"])
    create_foreign_key(
        "blogs_editor_id_fkey", "blogs", ["editor_id"], to="users", parent_columns=["uuid"], ondelete="SET NULL"
    )
"""


def test_what_would_keep_a_table_busy_is_written_as_blocks_in_a_revision_of_their_own(target, tmp_path):
    flask_db = flask_db_of(target, tmp_path)
    done = flask_db("migrate", "-m", "change much", program=("-c", MODELS_CHANGE))
    assert done.returncode == 0, done.stderr
    plain, steps = sorted(new_files(flask_db), key=lambda path: len(path.name))
    assert steps.stem.endswith("_change_much_in_steps")
    assert 'add_column(sa.Column("mood"' in plain.read_text()
    assert '"bio"' in plain.read_text()
    assert "cms.database.operations" not in plain.read_text()
    text = steps.read_text()
    assert "op." not in text.partition("def upgrade")[2]
    assert WRITTEN in text
    for line in (
        'create_unique_constraint("blogs_author_id_title_key", "blogs", ["author_id", "title"])',
        'change_type("blogs", "word_count", sa.BigInteger())',
        'set_not_null("blogs", "summary")',
        'drop_not_null("blogs", "summary")',
        'change_type("blogs", "word_count", sa.INTEGER())',
        'drop_constraint("blogs_editor_id_fkey", "blogs", "foreignkey")',
        'drop_column("blogs", "key")',
    ):
        assert line in text
    assert flask_db("upgrade").returncode == 0
    assert "blogs" not in flask_db("check", program=("-c", MODELS_CHANGE)).stderr
    assert flask_db("downgrade", NEWEST).returncode == 0
    assert "blogs" not in flask_db("check").stderr


COLUMN_GOES = """
from cms.database.schema import Base
import cms.blogs.models
blogs = Base.metadata.tables["blogs"]
blogs.indexes = {index for index in blogs.indexes if "status" not in index.columns}
blogs._columns.remove(blogs.c.status)
from flask.cli import main
main()
"""


def test_the_indexes_of_a_column_that_goes_are_dropped_before_it_in_one_revision(flask_db, sqlite_target):
    done = flask_db("migrate", "-m", "drop status", program=("-c", COLUMN_GOES))
    assert done.returncode == 0, done.stderr
    (file,) = new_files(flask_db)
    text = file.read_text().partition("def upgrade")[2]
    assert 0 < text.index("drop_index") < text.index("drop_column")


@pytest.mark.parametrize("command", ["upgrade", "migrate", "revision", "downgrade", "stamp"])
def test_two_heads_are_named_with_the_command_that_merges_them(flask_db, command):
    add_branches(flask_db)
    done = flask_db(command)
    assert done.returncode == 1
    assert "aaaaaaaaaaaa (one branch)" in done.stderr
    assert "bbbbbbbbbbbb (other branch)" in done.stderr
    assert 'flask db merge -m "merge heads"' in done.stderr


def test_merged_heads_can_be_applied(flask_db):
    add_branches(flask_db)
    assert flask_db("merge", "-m", "merge heads", "a" * 12, "b" * 12).returncode == 0
    done = flask_db("upgrade")
    assert done.returncode == 0, done.stderr
    assert "(head)" in flask_db("current").stdout


def test_without_ruff_a_revision_is_made_all_the_same(flask_db, tmp_path):
    import venv

    bare = tmp_path / "bare"
    venv.create(bare, with_pip=False, symlinks=True)
    site = next(Path(sys.prefix).glob("lib/python*/site-packages"))
    code = f"import sys; sys.path.append({str(site)!r}); sys.argv[0] = 'flask'; from flask.cli import main; main()"
    folder = str(flask_db.versions.parent)
    done = subprocess.run(
        [bare / "bin/python", "-c", code, "db", "revision", "-d", folder, "-m", "bare"],
        env={"PATH": "/nowhere", "DATABASE_URL": f"sqlite:///{tmp_path}/cms.db"},
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "ruff is not installed" in done.stderr
    assert len(new_files(flask_db)) == 1
