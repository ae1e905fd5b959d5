"""What writers type about a post, as a draft, and a draft as the fields of the form."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from werkzeug.datastructures import MultiDict
from wtforms import Form, HiddenField, IntegerField, StringField, TextAreaField
from wtforms.widgets import HiddenInput

from cms.blogs.drafts import ALT_LIMIT, IMAGE_LIMIT, SLUG_LIMIT, SUMMARY_LIMIT, TITLE_LIMIT, PostDraft
from cms.blogs.editing import NOTE_LIMIT, Seen
from cms.blogs.errors import PostInvalid
from cms.blogs.moving import REASON_LIMIT
from cms.blogs.versions import LARGEST_NUMBER


def limited(length: int, **more: str) -> dict[str, str]:
    return {"maxlength": str(length), "autocomplete": "off", **more}


class PostForm(Form):
    """A post. What each field may hold is said by ``drafts.checked``, for every way to store one."""

    seen = IntegerField(widget=HiddenInput())
    unsaved = IntegerField(widget=HiddenInput(), default=0)
    title = StringField("Title", render_kw=limited(TITLE_LIMIT))
    content = TextAreaField("Text", render_kw={"rows": "24", "spellcheck": "true"})
    slug = StringField("Address", render_kw=limited(SLUG_LIMIT, autocapitalize="none", spellcheck="false"))
    summary = TextAreaField("Summary", render_kw=limited(SUMMARY_LIMIT, rows="3"))
    tags = TextAreaField("Tags", render_kw={"rows": "3", "autocapitalize": "none"})
    cover = StringField("Cover", render_kw=limited(IMAGE_LIMIT, inputmode="url", spellcheck="false"))
    cover_alt = StringField("What the cover shows", render_kw=limited(ALT_LIMIT))
    pictures = HiddenField()
    note = StringField("Note for the list of versions", render_kw=limited(NOTE_LIMIT))
    reason = TextAreaField("Why it is returned", render_kw=limited(REASON_LIMIT, rows="2"))
    publish_at = StringField("Date", render_kw={"type": "datetime-local"})
    zone = HiddenField(default="UTC")

    @property
    def known(self) -> Seen:
        """What the writer had before them. Whoever made up the post's id knows at least what they sent first.

        What is no number of a version, or is missing, is one that no post has: nothing is stored over a text unseen.
        """
        seen, unsaved = self.seen.data, self.unsaved.data or 0
        if seen is None or not 0 <= seen <= LARGEST_NUMBER:
            seen = LARGEST_NUMBER
        return Seen(seen or 1, unsaved if 0 <= unsaved <= LARGEST_NUMBER else 0)

    @property
    def is_new(self) -> bool:
        """Whether the writer's browser never heard that the post is stored."""
        return bool(self.seen.data == 0)

    def draft(self) -> PostDraft:
        """Return what was typed; nothing of it is checked yet."""
        others = lines_of(self.pictures.data)
        return PostDraft(
            title=self.title.data or "",
            content=self.content.data or "",
            slug=(self.slug.data or "").strip() or None,
            summary=self.summary.data or None,
            tags=lines_of(self.tags.data),
            images_url=tuple(filter(None, ((self.cover.data or "").strip(), *others))),
            cover_alt=self.cover_alt.data or None,
        )

    def date(self) -> datetime | None:
        """Return the date that was typed, in the writer's time zone. Raises PostInvalid."""
        if not self.publish_at.data:
            return None
        try:
            typed = datetime.fromisoformat(self.publish_at.data)
            return typed.replace(tzinfo=ZoneInfo(self.zone.data or "UTC")).astimezone(UTC)
        except (ValueError, OverflowError, ZoneInfoNotFoundError) as error:
            raise PostInvalid(
                "publish_at",
                f"{self.publish_at.data[:40]!r} is no date",
                hint="write it like 2026-08-22T14:30; nothing was changed",
            ) from error


def lines_of(text: str | None) -> tuple[str, ...]:
    return tuple(line.strip() for line in (text or "").splitlines() if line.strip())


def fields_of(draft: PostDraft, known: Seen, date: datetime | None) -> MultiDict[str, str]:
    """Return a draft as a form has it, with its date in UTC.

    Pictures besides the cover have no field of their own and go along hidden.
    """
    cover, *others = draft.images_url or ("",)
    return MultiDict(
        {
            "seen": str(known.version),
            "unsaved": str(known.unsaved),
            "title": draft.title,
            "content": draft.content,
            "slug": draft.slug or "",
            "summary": draft.summary or "",
            "tags": "\n".join(draft.tags),
            "cover": cover,
            "cover_alt": draft.cover_alt or "",
            "pictures": "\n".join(others),
            "publish_at": f"{date.astimezone(UTC):%Y-%m-%dT%H:%M}" if date else "",
            "zone": "UTC",
        }
    )
