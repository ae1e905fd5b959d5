"""Finding posts by their words: what a reader typed becomes words, the words find posts, and are marked in them.

Nothing that a reader types is an operator: punctuation is a gap between words, on both engines and in the index too.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa
from markupsafe import Markup, escape

from cms.accounts.queries import AnySession
from cms.blogs.models import Blog
from cms.blogs.queries import PostSummary, as_summary, published

RANKED = 100  # posts that are put in order and can be looked at; of a common word's, the newest
WORDS_LIMIT = 8
WORD_LIMIT = 60  # characters
SHORTEST_PREFIX = 3  # characters of a word whose longer forms are found too; Chinese and its like need fewer
READ = 8_000  # characters of a post's text in which an excerpt is looked for
EXCERPT = 240
BEFORE_MATCH = 80

GAPS = str.maketrans(dict.fromkeys(string.punctuation, " "))
LANGUAGES = {
    "ar": "arabic", "hy": "armenian", "eu": "basque", "ca": "catalan", "da": "danish", "nl": "dutch", "en": "english",
    "fi": "finnish", "fr": "french", "de": "german", "el": "greek", "hi": "hindi", "hu": "hungarian",
    "id": "indonesian", "ga": "irish", "it": "italian", "lt": "lithuanian", "ne": "nepali", "no": "norwegian",
    "nb": "norwegian", "nn": "norwegian", "pt": "portuguese", "ro": "romanian", "ru": "russian", "sr": "serbian",
    "es": "spanish", "sv": "swedish", "ta": "tamil", "tr": "turkish", "yi": "yiddish",
}  # fmt: skip


@dataclass(frozen=True)
class Hit:
    """A post that was found: title and excerpt are HTML in which the words are marked."""

    post: PostSummary
    title: Markup
    excerpt: Markup


def words_of(typed: str) -> tuple[str, ...]:
    """Return the words that somebody looks for, each once, at most 8."""
    plain = unicodedata.normalize("NFC", typed).translate(GAPS)
    words = (word[:WORD_LIMIT] for word in plain.split() if any(map(str.isalnum, word)))
    return tuple(dict.fromkeys(words))[:WORDS_LIMIT]


def language_of(tag: str) -> str:
    """Return PostgreSQL's name for the language of a tag such as en or pt-BR; "simple" knows words as they stand."""
    return LANGUAGES.get(tag.partition("-")[0].lower(), "simple")


def find_posts(session: AnySession, words: Sequence[str], *, language: str) -> list[UUID]:
    """Return the published posts that hold every word, the best first, at most 100. One statement.

    Of a word that many posts hold only the newest 100 are looked at, so it costs no more than a rare one.
    language: as ``language_of`` returns it; SQLite does not know languages.
    """
    if not words:
        return []
    if session.get_bind().dialect.name == "sqlite":
        return list(session.scalars(ON_SQLITE, values_on_sqlite(words)))
    return list(session.scalars(on_postgresql(words, language)))


def list_hits(session: AnySession, ids: Sequence[UUID], words: Sequence[str]) -> list[Hit]:
    """Return those of the posts that are published, in the order of their ids, with the words marked. One statement."""
    text = sa.func.substr(sa.func.coalesce(Blog.content_text, Blog.content), 1, READ).label("text")
    rows = session.execute(published().add_columns(text).where(Blog.id.in_(ids)))
    pattern = pattern_of(words)
    hits = {row.id: as_hit(as_summary(row), row.text, pattern) for row in rows}
    return [hits[each] for each in ids if each in hits]


# --- the statements ---------------------------------------------------------------------------------------------

# Marks are written into the statement, not bound: only so does PostgreSQL know how common a word is, and whether to
# look for it in the index or among the newest posts. The words hold no quote, backslash, colon or percent sign.
FOUND = """
    SELECT blog_id FROM (
        SELECT blog_id, created_at, words FROM blog_search WHERE words @@ {query} ORDER BY created_at DESC LIMIT {limit}
    ) AS newest
    ORDER BY ts_rank(words, {query}, 1) DESC, created_at DESC, blog_id
"""

ON_SQLITE = sa.text(
    """
    WITH anywhere AS MATERIALIZED (
        SELECT rowid AS key FROM blog_words WHERE blog_words MATCH :anywhere ORDER BY rowid DESC LIMIT :limit
    ), titled AS MATERIALIZED (
        SELECT rowid AS key FROM blog_words WHERE blog_words MATCH :titled ORDER BY rowid DESC LIMIT :limit
    ), summarised AS MATERIALIZED (
        SELECT rowid AS key FROM blog_words WHERE blog_words MATCH :summarised ORDER BY rowid DESC LIMIT :limit
    )
    SELECT blog_id FROM (
        SELECT key FROM anywhere UNION SELECT key FROM titled UNION SELECT key FROM summarised
    ) JOIN blog_search USING (key)
    ORDER BY key IN (SELECT key FROM titled) DESC, key IN (SELECT key FROM summarised) DESC, key DESC
    LIMIT :limit
    """
).columns(blog_id=Blog.id.type)


def values_on_sqlite(words: Sequence[str]) -> dict[str, object]:
    every = " AND ".join(f'"{word}"{"*" * may_be_longer(word)}' for word in words)
    columns = {"titled": f"title : ({every})", "summarised": f"summary : ({every})"}
    return {"anywhere": every, **columns, "limit": RANKED}


def on_postgresql(words: Sequence[str], language: str) -> sa.TextualSelect:
    """Return the statement; the last word, which may not be typed to its end, is also found as a beginning."""
    *others, last = (f"''{word}''" for word in words)
    longer = f" | {last}:*" if may_be_longer(words[-1]) else ""
    query = f"to_tsquery('{language}', '{' & '.join([*others, f'({last}{longer})'])}')"
    statement = FOUND.format(query=query, limit=RANKED).replace(":", r"\:")
    return sa.text(statement).columns(blog_id=Blog.id.type)


def may_be_longer(word: str) -> bool:
    return len(word) >= SHORTEST_PREFIX or not word.isascii()


# --- excerpts ---------------------------------------------------------------------------------------------------


def pattern_of(words: Sequence[str]) -> re.Pattern[str]:
    """Return what finds the words in a text; of a long one the beginning, which most of its forms share."""
    beginnings = [re.escape(word if len(word) < 6 else word[: max(5, len(word) - 3)]) for word in words]  # noqa: PLR2004
    return re.compile(rf"(?<![^\W_])(?:{'|'.join(beginnings)})[^\W_]*", re.IGNORECASE)


def as_hit(post: PostSummary, text: str, pattern: re.Pattern[str]) -> Hit:
    found = pattern.search(text)
    words = cut(text, found.start() if found else 0) if found or not post.summary else post.summary
    return Hit(post, marked(post.title, pattern), marked(words, pattern))


def cut(text: str, at: int) -> str:
    """Return whole words around a place in the text."""
    start, end = 0, len(text)
    if at > BEFORE_MATCH:
        start = text.find(" ", at - BEFORE_MATCH, at) + 1 or at
    if start + EXCERPT < end:
        last_gap = text.rfind(" ", at, start + EXCERPT)
        end = last_gap if last_gap > 0 else start + EXCERPT
    return f"{'… ' if start else ''}{text[start:end]}{' …' if end < len(text) else ''}"


def marked(text: str, pattern: re.Pattern[str]) -> Markup:
    """Return the text as HTML with the words marked."""
    done, parts = 0, []
    for found in pattern.finditer(text):
        parts += [escape(text[done : found.start()]), Markup("<mark>{}</mark>").format(found[0])]
        done = found.end()
    return Markup("").join([*parts, escape(text[done:])])
