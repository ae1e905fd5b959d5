"""The demo content is imported like any other folder: that shows the importer, and it can be loaded twice."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import select

from cms.blogs.models import Blog
from cms.exchange.demo.pictures import draw_pictures
from cms.exchange.import_request import ImportRequest
from cms.exchange.markdown_import import import_folder
from cms.exchange.report import SOMETHING_FOUND, FileOutcome
from cms.extensions import db

POSTS = Path(__file__).with_name("posts")
NAME = "demo"


@dataclass(frozen=True, kw_only=True)
class DemoReport:
    """What loading the demo content did.

    posts: how many are new or changed. problems: files that could not be used.
    why_not: why nothing was loaded; None if something was.
    """

    posts: int = 0
    unchanged: int = 0
    pictures_stored: int = 0
    problems: tuple[str, ...] = ()
    why_not: str | None = None

    @property
    def exit_code(self) -> int:
        return SOMETHING_FOUND if self.problems else 0

    def __str__(self) -> str:
        if self.why_not:
            return f"nothing loaded: {self.why_not}"
        line = f"{self.posts} demo posts loaded, {self.unchanged} unchanged, {self.pictures_stored} pictures stored"
        return "\n".join([*self.problems, line])


def load_demo_content(
    media_dir: Path, *, at: datetime, if_empty: bool = False, tell: Callable[[str], object] = str
) -> DemoReport:
    """Draw the demo pictures, then import the demo posts; a second time changes nothing.

    media_dir: the store of pictures. at: now. if_empty: do nothing if the site has a post already.
    tell: hears what is going on, as drawing takes some seconds.
    """
    if if_empty and has_posts():
        return DemoReport(why_not="the site has posts already")
    tell("drawing the pictures and importing the posts …")
    with TemporaryDirectory(prefix="cms-demo-") as folder:
        posts, pictures = Path(folder, "posts"), Path(folder, "assets")
        shutil.copytree(POSTS, posts)
        draw_pictures(pictures)
        report = import_folder(ImportRequest(folder=posts, assets=pictures, media_dir=media_dir, name=NAME), at=at)
    counts = report.counts
    return DemoReport(
        posts=counts.get("imported", 0) + counts.get("changed", 0),
        unchanged=counts.get("unchanged", 0) + counts.get("kept", 0),
        pictures_stored=report.pictures_stored,
        problems=tuple(lines_of(each for each in report.files if each.outcome == "skipped")),
    )


def has_posts() -> bool:
    return db.session.scalar(select(Blog.id).limit(1)) is not None


def lines_of(files: Iterable[FileOutcome]) -> Iterable[str]:
    return (line for each in files for line in each.lines())
