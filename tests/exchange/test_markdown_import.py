"""An import as a whole: every file accounted for, a second run changes nothing, one bad file stops no other."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from sqlalchemy import func, select

from cms.accounts.models import User
from cms.accounts.services import create_user
from cms.blogs.models import Blog, Redirect
from cms.blogs.services import PostDraft, create_post, update_post
from cms.exchange import markdown_import
from cms.exchange.import_request import FolderUnusable, NameUnusable
from cms.exchange.models import ImportedFile
from cms.extensions import db, transaction
from cms.management.base import call_command

if TYPE_CHECKING:
    from flask import Flask

    from cms.exchange.report import ImportReport
    from tests.exchange.conftest import Import, Write

ROOT = Path(__file__).resolve().parents[2]
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)
POST = """---
title: Hello
date: 2016-01-04
authors: [ada-lovelace, ben]
tags: [one, two]
excerpt: In short
redirect_from: /old/hello/
image: /assets/cat.png
own_key: kept
---
A cat: ![cat](/assets/cat.png), and {% include x.html %} a [link]({{ "/2016/01/04/hello/" | url }}).
"""


def cat() -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (2, 2)).save(buffer, "PNG")
    return buffer.getvalue()


def outcomes(report: ImportReport) -> dict[str, str]:
    return {each.source: each.outcome for each in report.files}


def get_post(slug: str) -> Blog:
    db.session.rollback()
    post = db.session.scalar(select(Blog).where(Blog.slug == slug))
    assert post is not None
    return post


def rows() -> tuple[int, ...]:
    db.session.rollback()
    counts = tuple(
        db.session.scalar(select(func.count()).select_from(model)) or 0
        for model in (User, Blog, Redirect, ImportedFile)
    )
    db.session.rollback()
    return counts


def test_a_post_arrives_with_everything_its_file_says(write: Write, run_import: Import, site: Flask) -> None:
    write("2016-01-04-hello.md", POST)
    write("assets/cat.png", cat())

    report = run_import()

    assert outcomes(report) == {"2016-01-04-hello.md": "imported"}
    assert report.files[0].notes == ("template tag {% include x.html %} removed", "further authors kept: ben")
    assert report.pictures_stored == 1
    assert report.exit_code == 0
    post = get_post("hello")
    assert (post.title, post.summary, post.tags, post.status) == ("Hello", "In short", ["one", "two"], "published")
    assert post.created_at == datetime(2016, 1, 4, tzinfo=UTC)
    assert post.updated_at is None
    assert "![cat](/media/" in post.content
    assert post.content_html is not None
    assert post.images_url == [post.content.partition("](")[2].partition(")")[0]]
    assert (site.config["MEDIA_DIR"] / post.images_url[0].removeprefix("/media/")).read_bytes() == cat()
    author = db.session.get(User, post.author_id)
    assert author is not None
    assert (author.username, author.display_name, author.password_hash) == ("ada-lovelace", "Ada Lovelace", None)
    kept = db.session.get(ImportedFile, "2016-01-04-hello.md")
    assert kept is not None
    assert kept.front_matter["own_key"] == "kept"
    assert kept.front_matter["date"] == "2016-01-04"
    assert set(db.session.scalars(select(Redirect.path))) == {"/old/hello", "/2016/01/04/hello"}


def test_an_embedded_page_arrives_as_a_link_and_is_reported(write: Write, run_import: Import) -> None:
    write("film.md", "---\ntitle: Film\n---\n<iframe src='//example.org/v' title='A film'></iframe>\n")
    report = run_import()
    assert get_post("film").content.strip() == '<a href="https://example.org/v">A film</a>'
    assert "the embedded page https://example.org/v became a link" in report.files[0].notes


def test_markdown_of_older_readers_arrives_as_its_author_saw_it(write: Write, run_import: Import) -> None:
    write("old.md", "<br/>\n## Sprint\n\n###Options\n")
    run_import()
    html = get_post("old").content_html or ""
    assert '<h2 id="sprint">Sprint</h2>' in html
    assert '<h3 id="options">Options</h3>' in html


def test_a_second_run_changes_nothing(write: Write, run_import: Import) -> None:
    write("2016-01-04-hello.md", POST)
    write("sub/other.md", "Other")
    run_import()
    before = rows()

    report = run_import(at=LATER)

    assert report.counts == {"unchanged": 2}
    assert rows() == before
    assert get_post("hello").updated_at is None


def test_a_changed_file_changes_its_post_and_a_changed_slug_leaves_a_redirect(write: Write, run_import: Import) -> None:
    write("hello.md", "---\nslug: first\nauthor: ada\n---\n# Hello")
    run_import()
    write("hello.md", "---\nslug: second\nauthor: ben\n---\n# Hello again")

    report = run_import(at=LATER)

    assert outcomes(report) == {"hello.md": "changed"}
    post = get_post("second")
    assert (post.title, post.updated_at) == ("Hello again", LATER)
    assert rows() == (2, 1, 1, 1)
    author = db.session.get(User, post.author_id)
    assert author is not None
    assert author.username == "ben"
    assert run_import(at=LATER).counts == {"unchanged": 1}


def test_a_file_that_is_gone_is_reported_and_its_post_stays(write: Write, run_import: Import) -> None:
    write("a.md", "A")
    file = write("b.md", "B")
    run_import()
    file.unlink()

    report = run_import()

    assert report.gone == ("b.md",)
    assert rows()[1] == 2


def test_a_post_that_was_edited_here_is_kept_unless_overwriting_is_asked_for(write: Write, run_import: Import) -> None:
    write("hello.md", "# Hello\nfrom the file")
    run_import()
    with transaction() as session:
        post = session.scalar(select(Blog).where(Blog.slug == "hello"))
        assert post is not None
        update_post(session, post, PostDraft(title="Hello", content="edited"), at=LATER)
    write("hello.md", "# Hello\nfrom the changed file")

    kept = run_import(at=LATER + timedelta(hours=1))
    assert outcomes(kept) == {"hello.md": "kept"}
    assert get_post("hello").content == "edited"

    replaced = run_import(at=LATER + timedelta(hours=1), overwrite=True)
    assert outcomes(replaced) == {"hello.md": "changed"}
    assert get_post("hello").content == "from the changed file"


def test_bad_files_are_skipped_with_line_and_cause_and_the_others_arrive(
    write: Write, run_import: Import, folder: Path
) -> None:
    write("a-good.md", "A")
    write("b-yaml.md", "---\ntitle: x\nauthors:\n- a\t\n---\n")
    write("c-latin.md", b"caf\xe9")
    write("d-nul.md", b"one\ntwo\0")
    write("e-big.md", "x" * ((1 << 20) + 1))
    write("f-open.md", "---\ntitle: x\n")
    os.mkfifo(folder / "g-pipe.md")
    write("z-good.markdown", "Z")
    (folder / "link.md").symlink_to("/etc/passwd")
    (folder / "linked").symlink_to("/etc")
    write(".hidden.md", "hidden")
    write(".git/x.md", "hidden")
    write("notes.txt", "no Markdown")

    report = run_import()

    assert [(each.source, each.outcome, each.line) for each in report.files] == [
        ("a-good.md", "imported", None),
        ("b-yaml.md", "skipped", 4),
        ("c-latin.md", "skipped", 1),
        ("d-nul.md", "skipped", 2),
        ("e-big.md", "skipped", None),
        ("f-open.md", "skipped", 1),
        ("g-pipe.md", "skipped", None),
        ("link.md", "ignored", None),
        ("linked", "ignored", None),
        ("notes.txt", "ignored", None),
        ("z-good.markdown", "imported", None),
    ]
    assert all(each.why for each in report.files if each.outcome != "imported")
    assert report.exit_code == 3
    assert "skipped    b-yaml.md:4: the front matter is not valid YAML: found character" in str(report)
    assert rows()[1] == 2


def test_a_file_name_that_is_not_utf8_or_holds_controls_is_skipped(run_import: Import, folder: Path) -> None:
    for name in (b"caf\xe9.md", b"bell\x07.md", b"line\nend.md"):
        (folder / os.fsdecode(name)).write_text("text")

    report = run_import()

    assert report.counts == {"skipped": 3}
    str(report).encode()
    assert len(str(report).splitlines()) == 4


def test_what_the_site_refuses_undoes_only_its_own_file(write: Write, run_import: Import) -> None:
    write("a.md", "---\nauthor: ada\n---\nA")
    write(
        "b.md", "---\nauthor: ben\n---\n" + "é" * (1 << 19)
    )  # fits a file, and with its own text grows over the limit
    write("c.md", "---\nauthor: cleo\ntags: [" + ", ".join(f"t{n}" for n in range(101)) + "]\n---\nC")

    report = run_import()

    assert outcomes(report) == {"a.md": "imported", "b.md": "skipped", "c.md": "imported"}
    assert report.files[2].notes[-1].startswith("1 tags after the first 100")
    assert rows()[:2] == (2, 2)


def test_a_dry_run_tells_the_same_and_leaves_no_row_and_no_picture(
    write: Write, run_import: Import, site: Flask
) -> None:
    write("2016-01-04-hello.md", POST)
    write("2017-01-04-hello.md", POST)
    write("broken.md", "---\n[\n---\n")
    write("assets/cat.png", cat())

    planned = run_import(dry_run=True)

    assert rows() == (0, 0, 0, 0)
    assert not site.config["MEDIA_DIR"].exists()
    done = run_import()
    assert planned.files == done.files
    assert planned.counts == done.counts == {"imported": 2, "skipped": 1}
    assert planned.pictures_stored == done.pictures_stored == 1


def test_a_taken_address_and_a_taken_alias_are_noted(write: Write, run_import: Import) -> None:
    write("2016-01-04-hello.md", POST)
    write("2017-01-04-hello.md", POST)

    second = run_import().files[1]

    assert second.slug == "hello-2"
    assert "the address /hello/ was taken" in second.notes
    assert "the old address /old/hello leads to another post already" in second.notes


def test_an_author_is_the_account_of_that_name_whatever_the_case(write: Write, run_import: Import) -> None:
    with transaction() as session:
        ada = create_user(session, username="Ada", email="ada@example.org", password=None, at=NOON)
        create_post(session, PostDraft(title="Here before", content=""), author=ada, at=NOON)
    write("a.md", "---\nauthor: ada\n---\nA")
    write("b.md", "---\nauthor: 'José \"Pepe\" Núñez'\n---\nB")
    write("c.md", "---\nauthor: 李白\n---\nC")
    write("d.md", "D")

    assert run_import().exit_code == 0

    names = set(db.session.scalars(select(User.username)))
    assert names == {"Ada", "jose-pepe-nunez", "li-bai", "imported"}


def test_names_keep_folders_with_equal_file_names_apart(write: Write, run_import: Import) -> None:
    write("a.md", "A")
    run_import(name="one")

    report = run_import(name="two")

    assert (report.counts, report.gone) == ({"imported": 1}, ())
    assert rows()[1] == 2


def test_more_files_than_one_transaction_holds_all_arrive(
    write: Write, run_import: Import, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(markdown_import, "BATCH_FILES", 2)
    for number in range(25):
        write(f"{number:02}.md", f"# Post {number}")

    assert run_import(dry_run=True).counts == {"imported": 25}
    assert run_import().counts == {"imported": 25}
    assert run_import().counts == {"unchanged": 25}


@pytest.mark.parametrize("name", ["", "a b", "a:b", "x" * 51, "a\n"])
def test_a_name_that_could_be_mistaken_is_refused(name: str, run_import: Import) -> None:
    with pytest.raises(NameUnusable):
        run_import(name=name)


def test_a_folder_that_is_none_is_refused(run_import: Import, folder: Path) -> None:
    folder.rmdir()
    with pytest.raises(FolderUnusable, match="cannot be read"):
        run_import()


def test_the_command_gives_the_report_and_its_json_has_every_file(site: Flask, write: Write, folder: Path) -> None:
    write("a.md", "---\ntitle: x\n")
    report = call_command("import-markdown", folder=folder, assets=None, name=None)
    assert report.counts == {"skipped": 1}
    assert report.exit_code == 3


def test_a_killed_import_leaves_whole_posts_and_the_next_run_does_the_rest(
    site: Flask, write: Write, run_import: Import, folder: Path, migrated_url: str
) -> None:
    for number in range(300):
        write(f"2016-01-04-{number:03}.md", POST.replace("/old/hello/", f"/old/{number}/") + "word " * 500)
    environment = {**os.environ, "DATABASE_URL": migrated_url, "MEDIA_DIR": str(site.config["MEDIA_DIR"])}
    command = [sys.executable, "manage.py", "import-markdown", str(folder)]
    running = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while rows()[1] == 0 and running.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    running.communicate()

    _, posts, redirects, files = rows()
    assert 0 < posts < 300
    assert posts == files == redirects / 2

    assert run_import().counts == {"imported": 300 - posts, "unchanged": posts}
    assert rows()[1:] == (300, 600, 300)


def test_the_json_of_the_command_can_be_read_by_a_machine(
    site: Flask, write: Write, folder: Path, migrated_url: str
) -> None:
    write("a.md", "# A")
    environment = {**os.environ, "DATABASE_URL": migrated_url, "MEDIA_DIR": str(site.config["MEDIA_DIR"])}
    command = [sys.executable, "manage.py", "import-markdown", str(folder), "--json"]
    answer = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert json.loads(answer.stdout)["files"][0]["outcome"] == "imported"
    assert answer.stderr == ""
