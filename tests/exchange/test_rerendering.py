"""Stored HTML made anew: all of it, in steps that can be stopped, without touching what people write meanwhile."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select, update

from cms.accounts.services import find_or_create_author
from cms.blogs import rerendering
from cms.blogs.models import Blog
from cms.blogs.rendering import RENDERER_VERSION
from cms.blogs.rerendering import Stale, render_stored_posts
from cms.blogs.services import PostDraft, create_post, update_post
from cms.extensions import db, transaction
from cms.management.base import call_command

if TYPE_CHECKING:
    from flask import Flask

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
POSTS = 25


@pytest.fixture(autouse=True)
def adopted_posts(site: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Store posts as an adopted site has them, and make the steps small."""
    monkeypatch.setattr(rerendering, "BATCH_POSTS", 2)
    with transaction() as session:
        ada = find_or_create_author(session, "ada", display_name="Ada", at=NOON)
        for number in range(POSTS):
            create_post(session, PostDraft(title=f"Post {number}", content=f"*{number}*"), author=ada, at=NOON)
        session.execute(update(Blog).values(content_html=None, renderer_version=None, word_count=0))


def stale() -> int:
    db.session.rollback()
    wanted = select(func.count()).select_from(Blog).where(Blog.content_html.is_(None))
    return db.session.scalar(wanted) or 0


def test_every_post_gets_its_html_and_keeps_its_date() -> None:
    report = call_command("render-posts")
    assert (report.found, report.rendered) == (POSTS, POSTS)
    posts = db.session.scalars(select(Blog)).all()
    assert all(post.content_html == f"<p><em>{post.content.strip('*')}</em></p>\n" for post in posts)
    assert {(post.updated_at, post.renderer_version, post.word_count) for post in posts} == {
        (None, RENDERER_VERSION, 1)
    }
    db.session.rollback()
    assert render_stored_posts().found == 0


def test_a_dry_run_counts_and_changes_nothing() -> None:
    assert call_command("render-posts", dry_run=True).found == POSTS
    assert stale() == POSTS


def test_html_of_another_edition_is_made_anew() -> None:
    render_stored_posts()
    with transaction() as session:
        session.execute(update(Blog).values(renderer_version=RENDERER_VERSION - 1))
    assert render_stored_posts().rendered == POSTS


def test_a_run_that_is_stopped_keeps_what_it_did_and_the_next_does_the_rest() -> None:
    def stop_after_three(batches: Iterable[list[Stale]], _length: int) -> Iterator[list[Stale]]:
        for number, batch in enumerate(batches):
            if number == 3:
                raise KeyboardInterrupt
            yield batch

    with pytest.raises(KeyboardInterrupt):
        render_stored_posts(watch=stop_after_three)
    assert stale() == POSTS - 6
    assert render_stored_posts().rendered == POSTS - 6


def test_a_post_that_is_edited_meanwhile_keeps_what_its_editor_stored() -> None:
    def edit_first(batches: Iterable[list[Stale]], _length: int) -> Iterator[list[Stale]]:
        for number, batch in enumerate(batches):
            if number == 0:
                with transaction() as session:
                    post = session.get_one(Blog, batch[0].id)
                    update_post(session, post, PostDraft(title="Edited", content="edited"), at=NOON)
            yield batch

    assert render_stored_posts(watch=edit_first).rendered == POSTS - 1
    edited = db.session.scalar(select(Blog).where(Blog.title == "Edited"))
    assert edited is not None
    assert edited.content_html == "<p>edited</p>\n"
