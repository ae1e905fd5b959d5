"""Writing a post: every save says which version its writer saw, so that nothing is stored over a text nobody read.

Each function says who and when. The caller holds the transaction, in which ``lock_post`` made others wait.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from cms.accounts.models import User
from cms.accounts.permissions import DRAFT
from cms.accounts.queries import AnySession
from cms.activity.services import Actor, Subject, record
from cms.blogs.drafts import STATUSES, TITLE_LIMIT, PostDraft, checked, checked_content, checked_line
from cms.blogs.errors import Conflict, PostChanged, PostInvalid
from cms.blogs.merging import merge_posts
from cms.blogs.models import Blog, BlogVersion
from cms.blogs.services import create_post, slug_of, update_post
from cms.blogs.versions import (
    AUTOSAVE,
    RESTORE,
    SAVE,
    Origin,
    discard_autosave,
    find_autosave,
    find_saved,
    find_version,
    keep,
    keep_former,
    next_number,
    text_columns,
    texts_of,
    was_public,
)

UNTITLED = "Untitled"
NOTE_LIMIT = 500
NOTHING = PostDraft(title="", content="")


@dataclass(frozen=True)
class Saved:
    """What a save stored. number: of the version. is_new: False if the post had this text already."""

    number: int
    at: datetime
    is_new: bool


def lock_post(session: AnySession, blog_id: UUID) -> Blog | None:
    """Return the post as it is now, or None; others who lock it wait until the transaction ends."""
    return session.get(Blog, blog_id, with_for_update=True, populate_existing=True)


def start_post(session: AnySession, blog_id: UUID, draft: PostDraft, *, by: Actor, at: datetime) -> Blog:
    """Store the first text of a new post, of which the writer's browser has made up the id, and return it locked.

    A browser that got no answer sends the same again, so a post that is there already is returned as it is.
    Raises PostInvalid, also for a writer whose account was deleted a moment ago.
    """
    if (existing := lock_post(session, blog_id)) is not None:
        return existing
    # Held until the post is stored: an account that is being deleted would take its posts' place to stand away.
    here = select(User).where(User.uuid == by.id).with_for_update(read=True, key_share=True)
    if (author := session.scalar(here)) is None:
        raise PostInvalid("author", "your account is not there any more", hint="nothing was stored")
    try:
        with session.begin_nested():
            blog = create_post(
                session, replace(draft, title=draft.title.strip() or UNTITLED), author=author, at=at, blog_id=blog_id
            )
            keep(session, blog, texts_of(blog), Origin(by, at, SAVE), number=blog.version)
    except IntegrityError:  # two requests with one text at the same moment
        if (existing := lock_post(session, blog_id)) is None:
            raise
        return existing
    record(session, "blog.created", actor=by, at=at, about=subject(blog))
    return blog


@dataclass(frozen=True)
class Seen:
    """What a writer has before them. version: of the post; unsaved: the number of their own text that was not saved
    yet and that this window stored or showed last, 0 for none.
    """

    version: int
    unsaved: int = 0


def save_post(
    session: AnySession, blog: Blog, draft: PostDraft, *, seen: Seen, by: Actor, at: datetime, note: str | None = None
) -> Saved:
    """Store the writer's text as the post's, and as a numbered version; what they had not saved is part of it.

    note: what a reader of the list of versions should know. The post's status and date stay. A title that gave a draft
    its address still does.
    Raises PostChanged if the post has another text by now, or another window of the writer's kept one; PostInvalid.
    """
    draft = prepared(session, blog, draft)
    if seen.version != blog.version and draft != texts_of(blog):
        raise PostChanged(conflict_of(session, blog, draft, base=seen.version))
    refuse_other_window(session, blog, draft, seen=seen, by=by)
    saved = store(session, blog, draft, Origin(by, at, SAVE, seen.version, checked_note(note)))
    discard_autosave(session, blog.id, by.id)
    return saved


def restore_version(session: AnySession, blog: Blog, number: int, *, by: Actor, at: datetime) -> Saved:
    """Give the post the text of an earlier version, as a new version; its address, status and date stay.

    Raises PostInvalid if there is no such version.
    """
    version = find_saved(session, blog.id, number)
    if version is None:
        raise PostInvalid("version", f"there is no version {number}", hint="nothing was changed")
    draft = replace(texts_of(version), slug=blog.slug, title=version.title or UNTITLED)
    return store(session, blog, draft, Origin(by, at, RESTORE, number))


def autosave_post(session: AnySession, blog: Blog, draft: PostDraft, *, seen: Seen, by: Actor, at: datetime) -> Saved:
    """Keep what a writer has not saved yet; the post stays as it is. It replaces what they had not saved before.

    Raises PostChanged if another window of theirs kept another text since, PostInvalid.
    """
    draft = unfinished(blog, draft)
    own = refuse_other_window(session, blog, draft, seen=seen, by=by)
    if own is not None and texts_of(own) == draft:
        return Saved(own.number, own.created_at, is_new=False)
    if own is None and draft == texts_of(blog):
        return Saved(blog.version, blog.updated_at or blog.created_at, is_new=False)
    base = seen.version
    number = next_number(session, blog)
    if own is None:
        keep(session, blog, draft, Origin(by, at, AUTOSAVE, base), number=number)
    else:
        own.number, own.base, own.created_at = number, base, at
        for name, value in text_columns(draft).items():
            setattr(own, name, value)
    session.flush()
    return Saved(number, at, is_new=True)


def annotate_version(session: AnySession, blog: Blog, number: int, note: str) -> bool:
    """Write another note to a version; False if there is none of this number. Raises PostInvalid."""
    version = find_saved(session, blog.id, number)
    if version is None:
        return False
    version.note = checked_note(note)
    session.flush()
    return True


# --- parts ------------------------------------------------------------------------------------------------------


def refuse_other_window(
    session: AnySession, blog: Blog, draft: PostDraft, *, seen: Seen, by: Actor
) -> BlogVersion | None:
    """Return what the writer has not saved, if this window knows it. Raises PostChanged for another window's text."""
    own = find_autosave(session, blog.id, by.id)
    if own is not None and own.number > seen.unsaved and texts_of(own) != draft:
        raise PostChanged(conflict_between(session, blog, draft, own, base=own.base or seen.version))
    return own


def store(session: AnySession, blog: Blog, draft: PostDraft, origin: Origin) -> Saved:
    """Give the post a text and keep it as a version, unless it has that text."""
    former = blog.version
    status = blog.status if blog.status in STATUSES else DRAFT
    update_post(session, blog, replace(draft, status=status), at=origin.at)
    if blog.version == former:
        return Saved(former, origin.at, is_new=False)
    keep(session, blog, texts_of(blog), origin, number=blog.version)
    details = {"version": blog.version, "kind": origin.kind}
    record(session, "blog.saved", actor=origin.by, at=origin.at, about=subject(blog), details=details)
    session.flush()
    return Saved(blog.version, origin.at, is_new=True)


def prepared(session: AnySession, blog: Blog, draft: PostDraft) -> PostDraft:
    """Return the draft in the form in which it is stored, with the slug that it will have. Raises PostInvalid."""
    draft = replace(checked(replace(draft, status=DRAFT)), created_at=None)
    slug = slug_of(draft.slug) if draft.slug else blog.slug
    if slug == blog.slug and draft.title != blog.title and follows_title(session, blog):
        slug = slug_of(draft.title)
    return replace(draft, slug=slug)


def follows_title(session: AnySession, blog: Blog) -> bool:
    """Tell whether the address was made from the title and no reader can know it yet."""
    made = re.fullmatch(rf"{re.escape(slug_of(blog.title))}(-\d+)?", blog.slug)
    return made is not None and not was_public(session, blog)


def unfinished(blog: Blog, draft: PostDraft) -> PostDraft:
    """Return a text on which somebody works, which need not be whole. Raises PostInvalid for what nothing can store."""
    whole = checked(replace(draft, title=draft.title.strip() or UNTITLED, content="", status=DRAFT, created_at=None))
    title = checked_line("title", draft.title, TITLE_LIMIT)
    return replace(whole, title=title, slug=whole.slug or blog.slug, content=checked_content(draft.content))


def conflict_of(session: AnySession, blog: Blog, mine: PostDraft, *, base: int) -> Conflict:
    """Return what the writer's text and the post's own go back to, and both together."""
    keep_former(session, blog, texts_of(blog))
    session.flush()
    stored = find_version(session, blog.id, blog.version)
    assert stored is not None  # noqa: S101 - it was kept above
    return conflict_between(session, blog, mine, stored, base=base)


def conflict_between(session: AnySession, blog: Blog, mine: PostDraft, stored: BlogVersion, *, base: int) -> Conflict:
    theirs = texts_of(stored)
    found = find_version(session, blog.id, base)
    origin = texts_of(found) if found else texts_of(blog) if base == blog.version else NOTHING
    merged = merge_posts(origin, mine, theirs)
    return Conflict(
        origin, mine, theirs, merged.draft, merged.contested,
        stored.number, stored.saved_by_name, stored.created_at, is_unsaved=stored.kind == AUTOSAVE,
    )  # fmt: skip


def checked_note(note: str | None) -> str | None:
    return checked_line("note", note or "", NOTE_LIMIT) or None


def subject(blog: Blog) -> Subject:
    return Subject("blog", str(blog.id), blog.title)
