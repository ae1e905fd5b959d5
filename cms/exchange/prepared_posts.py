"""A file, read and adapted to this site, ready to be stored. Writes nothing to the database."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from cms.blogs.drafts import SUMMARY_LIMIT, is_picture_address
from cms.blogs.services import PostDraft, slug_of
from cms.exchange.embedded_pages import link_embedded_pages
from cms.exchange.exported_posts import (
    is_exported,
    moment_in,
    named_pictures,
    read_draft,
    read_id,
    read_origin,
    text_in,
    texts_in,
)
from cms.exchange.front_matter import FrontMatter, as_json, parse_file
from cms.exchange.older_markdown import as_commonmark
from cms.exchange.picture_links import PictureSource, rewrite_pictures, taken
from cms.exchange.post_files import PostFile, read_post_file, shortened
from cms.exchange.source_folder import FileContent, SourceFile
from cms.exchange.template_tags import convert_tags
from cms.media.store import MEDIA_URL


@dataclass(frozen=True, kw_only=True)
class PreparedPost:
    """A post that only needs to be stored.

    author: as the file names them, None if it names nobody. aliases: old addresses. notes: for the report.
    author_name, blog_id, updated_at: of a post that left this program, None of any other; author is a username then.
    """

    draft: PostDraft
    author: str | None
    aliases: tuple[str, ...]
    front_matter: dict[str, Any]  # Any: whatever the file's author wrote
    notes: tuple[str, ...]
    author_name: str | None = None
    blog_id: UUID | None = None
    updated_at: datetime | None = None


def prepare_post(source: SourceFile, content: FileContent, pictures: PictureSource) -> PreparedPost:
    """Return a file's post, with its tags and pictures turned into this site's; its pictures are stored.

    Raises FileUnusable.
    """
    parts = parse_file(content.data)
    if is_exported(parts.values):
        return prepare_exported(source, parts, pictures)
    post = read_post_file(source.path, parts, modified_at=content.modified_at)
    notes = list(post.notes)
    draft = PostDraft(
        title=post.title,
        content=rewrite_pictures(converted_body(post, parts, notes), source.path, pictures, notes),
        slug=slug_of(post.slug),
        summary=shortened("summary", without_tags(post.summary or "", parts, notes), SUMMARY_LIMIT, notes) or None,
        tags=post.tags,
        images_url=tuple(dict.fromkeys(cover_addresses(source, post, pictures, notes))),
        status=post.status,
        created_at=post.created_at,
    )
    if post.authors[1:]:
        notes.append(f"further authors kept: {', '.join(post.authors[1:])}")
    return PreparedPost(
        draft=draft,
        author=post.authors[0] if post.authors else None,
        aliases=post.aliases,
        front_matter=as_json(parts.values),
        notes=tuple(dict.fromkeys(notes)),
    )


def prepare_exported(source: SourceFile, parts: FrontMatter, pictures: PictureSource) -> PreparedPost:
    """Return a post that left this program as it was; its pictures are stored. Raises FileUnusable."""
    values, notes = parts.values, list(parts.notes)
    draft = read_draft(values, parts.body)
    for path in named_pictures(draft):
        taken(f"{MEDIA_URL}{path}", source.path, pictures, notes)
    return PreparedPost(
        draft=draft,
        author=text_in(values, "author"),
        author_name=text_in(values, "author_name"),
        blog_id=read_id(values),
        updated_at=moment_in(values, "updated"),
        aliases=texts_in(values, "aliases"),
        front_matter=read_origin(values),
        notes=tuple(dict.fromkeys(notes)),
    )


def converted_body(post: PostFile, parts: FrontMatter, notes: list[str]) -> str:
    return as_commonmark(link_embedded_pages(without_tags(post.body, parts, notes), notes))


def without_tags(text: str, parts: FrontMatter, notes: list[str]) -> str:
    converted = convert_tags(text, parts.values)
    notes += converted.notes
    return converted.text


def cover_addresses(source: SourceFile, post: PostFile, pictures: PictureSource, notes: list[str]) -> Iterator[str]:
    """Yield the addresses of those pictures in front matter that can be shown."""
    for address in post.pictures:
        new = taken(address, source.path, pictures, notes)
        if new is not None:
            yield new
        elif ":" in address and is_picture_address(address):
            yield address
