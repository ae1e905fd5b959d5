"""A file, read and adapted to this site, ready to be stored. Writes nothing to the database."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cms.blogs.drafts import SUMMARY_LIMIT, is_picture_address
from cms.blogs.services import PostDraft, slug_of
from cms.exchange.embedded_pages import link_embedded_pages
from cms.exchange.front_matter import FrontMatter, as_json, parse_file
from cms.exchange.older_markdown import as_commonmark
from cms.exchange.picture_links import PictureSource, rewrite_pictures, taken
from cms.exchange.post_files import PostFile, read_post_file, shortened
from cms.exchange.source_folder import FileContent, SourceFile
from cms.exchange.template_tags import convert_tags


@dataclass(frozen=True, kw_only=True)
class PreparedPost:
    """A post that only needs to be stored.

    author: as the file names them, None if it names nobody. aliases: old addresses. notes: for the report.
    """

    draft: PostDraft
    author: str | None
    aliases: tuple[str, ...]
    front_matter: dict[str, Any]  # Any: whatever the file's author wrote
    notes: tuple[str, ...]


def prepare_post(source: SourceFile, content: FileContent, pictures: PictureSource) -> PreparedPost:
    """Return a file's post, with its tags and pictures turned into this site's; its pictures are stored.

    Raises FileUnusable.
    """
    parts = parse_file(content.data)
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
