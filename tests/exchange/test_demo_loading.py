"""The demo content: loaded by one command, twice without harm, never in production."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select

from cms.accounts.models import User
from cms.blogs.models import Blog
from cms.errors import Refused
from cms.exchange.demo.loading import POSTS
from cms.extensions import db
from cms.management.base import call_command

if TYPE_CHECKING:
    from flask import Flask


def test_the_demo_is_loaded_once_with_pictures_and_named_authors(site: Flask) -> None:
    first = call_command("load-demo", if_empty=True)
    assert (first.posts, first.problems, first.exit_code) == (len(list(POSTS.glob("*.md"))), (), 0)
    assert first.pictures_stored > 0
    assert db.session.scalar(select(func.count()).select_from(Blog)) == first.posts
    pictures = [url for urls in db.session.scalars(select(Blog.images_url)) for url in urls or []]
    assert pictures
    assert all(url.startswith("/media/") for url in pictures)
    assert "Tomasz Field" in {user.display_name for user in db.session.scalars(select(User))}

    assert call_command("load-demo", if_empty=True).why_not == "the site has posts already"
    second = call_command("load-demo")
    assert (second.posts, second.unchanged, second.pictures_stored) == (0, first.posts, 0)


def test_production_refuses_the_demo(site: Flask) -> None:
    site.config["CMS_ENV"] = "production"
    with pytest.raises(Refused):
        call_command("load-demo")
    assert db.session.scalar(select(func.count()).select_from(Blog)) == 0
