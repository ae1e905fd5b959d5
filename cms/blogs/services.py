"""What can be done with posts. Each function says who and when; the caller holds the transaction."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import select

from cms.accounts.models import User
from cms.accounts.queries import AnySession
from cms.blogs.drafts import PostDraft, checked
from cms.blogs.errors import PostInvalid
from cms.blogs.models import Blog, Redirect
from cms.blogs.redirects import redirect_path
from cms.blogs.rendering import RENDERER_VERSION, render
from cms.blogs.slugs import slug_of, unique_slug
from cms.blogs.versions import keep_former, next_number, texts_of, was_public

__all__ = ["PostDraft", "PostInvalid", "add_redirect", "create_post", "slug_of", "unique_slug", "update_post"]


def create_post(
    session: AnySession, draft: PostDraft, *, author: User, at: datetime, blog_id: UUID | None = None
) -> Blog:
    """Store a new post with its HTML, under the draft's slug or the next free one, and return it.

    at: now; also the post's date if the draft has none. blog_id: None makes a new one. Flushes, so that the next slug
    sees this one. Raises PostInvalid.
    """
    draft = checked(draft)
    slug = unique_slug(session, slug_of(draft.slug or draft.title))
    blog = Blog(id=blog_id or uuid4(), author_id=author.uuid, slug=slug, created_at=draft.created_at or at, version=1)
    set_texts(blog, draft)
    session.add(blog)
    session.flush()
    return blog


def update_post(session: AnySession, blog: Blog, draft: PostDraft, *, at: datetime) -> bool:
    """Make the post what the draft says. Returns whether anything changed.

    The former text is kept as a version. The former slug leads to the post, if readers can know it. A draft without
    slug or date keeps the post's own. Flushes. Raises PostInvalid.
    """
    draft = checked(draft)
    former = texts_of(blog)
    if draft.slug:
        blog.slug = unique_slug(session, slug_of(draft.slug), blog=blog)
    if draft.created_at:
        blog.created_at = draft.created_at
    set_texts(blog, draft)
    if not session.is_modified(blog):
        return False
    if texts_of(blog) != former:
        with session.no_autoflush:
            keep_former(session, blog, former)
            blog.version = next_number(session, blog)
    blog.updated_at = at
    session.flush()
    if former.slug and blog.slug != former.slug and was_public(session, blog):
        move_address(session, blog, former.slug, at=at)
    return True


def set_texts(blog: Blog, draft: PostDraft) -> None:
    """Set what differs, and render if the content does or the renderer is newer."""
    wanted = {
        "title": draft.title,
        "summary": draft.summary,
        "status": draft.status,
        "tags": list(draft.tags),
        "images_url": list(draft.images_url) or None,
        "cover_alt": draft.cover_alt,
    }
    for name, value in wanted.items():
        if getattr(blog, name) != value:
            setattr(blog, name, value)
    if blog.content != draft.content or blog.renderer_version != RENDERER_VERSION or blog.content_text is None:
        blog.content = draft.content
        store_rendered(blog)


def store_rendered(blog: Blog) -> None:
    rendered = render(blog.content)
    blog.content_html = rendered.html
    blog.content_text = rendered.text
    blog.word_count = rendered.word_count
    blog.reading_time_minutes = rendered.reading_time_minutes
    blog.renderer_version = RENDERER_VERSION


def move_address(session: AnySession, blog: Blog, old_slug: str, *, at: datetime) -> None:
    """Let the old address lead to the post; the new one, if it once was the post's, no longer does."""
    former = session.get(Redirect, f"/{blog.slug}")
    if former is not None:
        session.delete(former)
    add_redirect(session, f"/{old_slug}/", blog, at=at)


def add_redirect(session: AnySession, path: str, blog: Blog, *, at: datetime) -> bool:
    """Let an old address lead to the post; returns whether it is new.

    path: as it stood on the old site, percent-encoded or not; host, query and a trailing slash are left out.
    The first post to claim an address keeps it. The post's own address needs none. Flushes.
    Raises PostInvalid if the path is longer than 500 characters or holds control characters.
    """
    path = redirect_path(path)
    if path in {"/", f"/{blog.slug}"} or session.scalar(select(Redirect.path).where(Redirect.path == path)):
        return False
    session.add(Redirect(path=path, blog_id=blog.id, created_at=at))
    session.flush()
    return True
