"""What leaves as a zip comes back as the same site, on either kind of database."""

from __future__ import annotations

import shutil
import zipfile
from datetime import UTC, datetime, timedelta, timezone
from io import BytesIO

import pytest
from PIL import Image
from sqlalchemy import func, select

from cms.accounts.services import find_or_create_author
from cms.blogs.models import Blog, Redirect
from cms.blogs.services import PostDraft, add_redirect, create_post, update_post
from cms.errors import Refused
from cms.exchange.markdown_export import ExportFailed
from cms.exchange.models import ImportedFile
from cms.extensions import db, transaction
from cms.management.base import call_command
from cms.media.store import save_picture
from tests.site import running, settings_for

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
ODD = "Tabs\t, 'quotes', \"more\", back\\slash, : # - [x] {{ y }} {% z %} & <b>b</b> é 東京 \U0001f600 \u2028 end"
LINE = ODD.replace("\u2028", "")
BODY = f"\n\n---\ntitle: not mine\n---\n###Heading\n<iframe src='https://example.org/'></iframe>\n{ODD}\n\n"


@pytest.fixture
def elsewhere(sqlite_template, tmp_path):
    """Return a second, empty site."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    with running(settings_for(f"sqlite:///{shutil.copy(sqlite_template, folder / 'site.db')}", folder)) as app:
        yield app


def picture(colour):
    buffer = BytesIO()
    Image.new("RGB", (2, 2), colour).save(buffer, "PNG")
    return buffer.getvalue()


def write_odd_posts(site):
    cover = save_picture(site.config["MEDIA_DIR"], picture("red")).url
    inside = save_picture(site.config["MEDIA_DIR"], picture("blue")).url
    with transaction() as session:
        ada = find_or_create_author(session, "ada-lovelace", display_name="Ada King, Countess of Lovelace", at=NOON)
        odd = PostDraft(
            title=LINE, content=f"![x]({inside})\n{BODY}", slug="zwölf", summary=LINE,
            tags=("a tag", "東京", "18f.gsa.gov"), images_url=(cover, "https://example.org/x.png"), cover_alt="red",
            status="published", created_at=NOON.astimezone(timezone(timedelta(hours=3))) + timedelta(microseconds=7),
        )  # fmt: skip
        blog = create_post(session, odd, author=ada, at=NOON)
        add_redirect(session, "/2016/01/a%3Fb%25/", blog, at=NOON)
        create_post(session, PostDraft(title="Plain", content="", status="draft"), author=ada, at=NOON)
        later = create_post(session, PostDraft(title="Again", content="one"), author=ada, at=NOON)
        update_post(session, later, PostDraft(title="Again", content="two", slug="Zebra"), at=NOON + timedelta(hours=1))
        known = ImportedFile(source="x.md", blog_id=later.id, sha256="0" * 64, imported_at=NOON)
        known.front_matter = {"n": 1e16, "list": [None, True, "\u2028"], "date": "2026-01-01"}
        session.add(known)


def export(file):
    db.session.rollback()
    return call_command("export", file=file, yes=True)


def test_a_site_that_left_and_came_back_leaves_with_the_same_bytes(site, elsewhere, tmp_path):
    write_odd_posts(site)
    written = export(tmp_path / "one.zip")
    assert (written.posts, written.pictures, written.missing) == (3, 2, ())
    with elsewhere.app_context():
        report = call_command("import-markdown", folder=tmp_path / "one.zip")
        assert report.counts == {"imported": 3}
        assert [note for each in report.files for note in each.notes] == []
        export(tmp_path / "two.zip")
        assert call_command("import-markdown", folder=tmp_path / "one.zip").counts == {"unchanged": 3}
    assert (tmp_path / "two.zip").read_bytes() == (tmp_path / "one.zip").read_bytes()


def everything():
    db.session.rollback()
    rows = db.session.execute(select(*(column for column in Blog.__table__.columns if column.name != "version")))
    found = {row.slug: [value for name, value in row._mapping.items() if name != "author_id"] for row in rows}
    paths = db.session.execute(select(Redirect.path, Redirect.blog_id)).all()
    db.session.rollback()
    return found, sorted(map(tuple, paths))


def test_every_column_of_a_post_and_its_old_addresses_come_back(site, elsewhere, tmp_path):
    write_odd_posts(site)
    before = everything()
    export(tmp_path / "one.zip")
    with elsewhere.app_context():
        call_command("import-markdown", folder=tmp_path / "one.zip")
        assert everything() == before


def test_the_same_site_gives_the_same_bytes_and_a_draft_is_nobodys_to_read(site, tmp_path):
    write_odd_posts(site)
    export(tmp_path / "one.zip")
    export(tmp_path / "two.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    assert (tmp_path / "one.zip").stat().st_mode & 0o777 == 0o600
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_posts_in_the_trash_stay_there_and_pictures_that_are_gone_are_named(site, tmp_path):
    gone = f"ab/{'0' * 62}.png"
    with transaction() as session:
        ada = find_or_create_author(session, "ada", display_name="Ada", at=NOON)
        create_post(session, PostDraft(title="Here", content=f"![x](/media/{gone})"), author=ada, at=NOON)
        create_post(session, PostDraft(title="Gone", content="", status="trashed"), author=ada, at=NOON)
    written = export(tmp_path / "one.zip")
    assert (written.posts, written.missing) == (1, (gone,))
    assert f"not in the store: {gone}" in str(written)


def test_the_site_itself_keeps_its_posts_unless_told(site, tmp_path):
    write_odd_posts(site)
    export(tmp_path / "one.zip")
    with transaction() as session:
        session.scalars(select(Blog).where(Blog.title == "Plain")).one().title = "Changed here"
    assert call_command("import-markdown", folder=tmp_path / "one.zip").counts == {"kept": 3}
    replaced = call_command("import-markdown", folder=tmp_path / "one.zip", name="back", overwrite=True)
    assert replaced.counts == {"changed": 3}
    assert db.session.scalar(select(func.count()).where(Blog.title == "Changed here")) == 0


def test_a_file_that_is_there_is_not_replaced_without_a_word(site, tmp_path):
    (tmp_path / "one.zip").write_text("mine")
    with pytest.raises(Refused):
        call_command("export", file=tmp_path / "one.zip")
    assert (tmp_path / "one.zip").read_text() == "mine"


def test_a_folder_that_is_not_there_is_named(site, tmp_path):
    with pytest.raises(ExportFailed, match="could not be written") as failed:
        call_command("export", file=tmp_path / "none" / "one.zip")
    assert "No such file" in str(failed.value)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("id: 7", "the id is no text"),
        ('id: "x"', "the id is none"),
        ("title: [a]", "the title is no text"),
        ("tags: [1]", "the tags are no list of texts"),
        ('date: "noon"', "the date is no time"),
        ('date: "2026-01-01T00:00:00"', "the date has no time zone"),
        ('origin: "["', "the origin is no JSON"),
        ('origin: "[]"', "the origin has no keys"),
        ('status: "live"', "the status 'live' is unknown"),
        ('author: "a b"\nauthor_name: "A"', "the username 'a b' cannot be used"),
    ],
)  # fmt: skip
def test_a_file_that_was_spoiled_by_hand_is_skipped_with_the_reason(write, run_import, line, why):
    key = line.partition(":")[0]
    facts = {"title": '"A"', "slug": '"a"', "status": '"draft"', "author": '"ada"', "author_name": '"Ada"'}
    kept = "".join(f"{name}: {value}\n" for name, value in facts.items() if f"{name}:" not in line and name != key)
    write("a.md", f"---\ncms_format: 1\n{kept}{line}\n---\nbody")
    [outcome] = run_import().files
    assert outcome.outcome == "skipped"
    assert why in str(outcome.why)
