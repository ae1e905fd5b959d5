"""A prepared post becomes a row, or changes the one that its file became before. The caller holds the transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.exc import DataError, IntegrityError

from cms.accounts.errors import AccountExists, AccountInvalid
from cms.accounts.models import User
from cms.accounts.queries import AnySession
from cms.accounts.services import find_or_create_author
from cms.blogs.models import Blog, Redirect
from cms.blogs.redirects import redirect_path
from cms.blogs.services import PostInvalid, add_redirect, create_post, update_post
from cms.exchange.imported_authors import author_account
from cms.exchange.models import ImportedFile
from cms.exchange.prepared_posts import PreparedPost
from cms.exchange.report import FileOutcome, Outcome


@dataclass(frozen=True)
class Sender:
    """Where a post comes from: the key of its file, the file's path as shown, and the hash of its bytes."""

    key: str
    shown: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What holds for every file of one import. at: now."""

    at: datetime
    default_author: str
    overwrite: bool


def store_post(session: AnySession, sender: Sender, post: PreparedPost, terms: Terms) -> FileOutcome:
    """Store one post in a savepoint of its own and return what became of its file; a bad one undoes only itself."""
    notes = list(post.notes)
    try:
        with session.begin_nested():
            return create_or_update(session, sender, post, terms, notes=notes)
    except (PostInvalid, AccountInvalid, AccountExists) as error:
        why = f"{error.what}: {error.why}" if error.why else error.what
    except (IntegrityError, DataError) as error:  # such as another import of the same folder at the same moment
        why = f"the database refused it: {str(error.orig).splitlines()[0]}"
    return FileOutcome(source=sender.shown, outcome="skipped", why=why, notes=tuple(notes))


def create_or_update(
    session: AnySession, sender: Sender, post: PreparedPost, terms: Terms, *, notes: list[str]
) -> FileOutcome:
    known = session.get(ImportedFile, sender.key)
    blog_id = known.blog_id if known else post.blog_id
    blog = session.get(Blog, blog_id) if blog_id else None
    outcome: Outcome = "imported"
    if blog is None:
        blog = create(session, sender, post, terms)
    elif known is None and not terms.overwrite:
        why = "the site has this very post; --overwrite replaces it"
        return FileOutcome(source=sender.shown, outcome="kept", slug=blog.slug, why=why)
    elif known and was_edited_since(blog, known) and not terms.overwrite:
        why = f"the post was edited here at {blog.updated_at:%Y-%m-%d %H:%M} UTC; --overwrite replaces it"
        return FileOutcome(source=sender.shown, outcome="kept", slug=blog.slug, why=why)
    else:
        outcome = "changed"
        update(session, blog, post, terms)
        remember(session, blog, sender, post, at=terms.at)
    if blog.slug != post.draft.slug:
        notes.append(f"the address /{post.draft.slug}/ was taken")
    add_redirects(session, blog, post.aliases, notes, at=terms.at)
    return FileOutcome(source=sender.shown, outcome=outcome, slug=blog.slug, notes=tuple(notes))


def was_edited_since(blog: Blog, known: ImportedFile) -> bool:
    return blog.updated_at is not None and blog.updated_at > known.imported_at


def create(session: AnySession, sender: Sender, post: PreparedPost, terms: Terms) -> Blog:
    author = find_author(session, post, terms)
    blog = create_post(session, post.draft, author=author, at=terms.at, blog_id=post.blog_id)
    blog.updated_at = post.updated_at
    remember(session, blog, sender, post, at=terms.at)
    return blog


def find_author(session: AnySession, post: PreparedPost, terms: Terms) -> User:
    if post.author and post.author_name:
        return find_or_create_author(session, post.author, display_name=post.author_name, at=terms.at)
    return author_account(session, post.author or terms.default_author, at=terms.at)


def remember(session: AnySession, blog: Blog, sender: Sender, post: PreparedPost, *, at: datetime) -> None:
    """Note which post the file became, and what it said. Flushes."""
    known = session.get(ImportedFile, sender.key) or ImportedFile(source=sender.key)
    known.blog_id = blog.id
    known.sha256 = sender.sha256
    known.front_matter = post.front_matter
    known.imported_at = at
    session.add(known)
    session.flush()


def update(session: AnySession, blog: Blog, post: PreparedPost, terms: Terms) -> None:
    if post.author:
        blog.author_id = find_author(session, post, terms).uuid
    update_post(session, blog, post.draft, at=terms.at)


def add_redirects(session: AnySession, blog: Blog, aliases: tuple[str, ...], notes: list[str], *, at: datetime) -> None:
    """Let the old addresses lead to the post; one that cannot, or belongs to another post, is noted."""
    for alias in aliases:
        try:
            if add_redirect(session, alias, blog, at=at):
                continue
            owner = session.get(Redirect, redirect_path(alias))
            if owner is not None and owner.blog_id != blog.id:
                notes.append(f"the old address {owner.path} leads to another post already")
        except PostInvalid as error:
            notes.append(f"the old address {alias:.60} cannot be kept: {error.why or error.what}")
