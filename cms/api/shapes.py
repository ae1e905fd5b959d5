"""The types of which requests and answers are made. What programs send is checked; what they get is only described."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    StringConstraints,
)

from cms.web.paging import Cursor, CursorInvalid, Place

MOST = 100
USUAL = 20
DATE = re.compile(r"\d{4}-\d\d-\d\d[Tt ]")


def without_nul(text: str) -> str:
    """Refuse what PostgreSQL cannot store and what pages cannot show."""
    if "\0" in text:
        raise ValueError("holds U+0000")
    return text


def written_out(value: Any) -> Any:  # Any: whatever was sent
    """Refuse numbers, which pydantic takes for seconds since 1970."""
    if isinstance(value, str) and not DATE.match(value):
        raise ValueError("write it like 2026-08-22T14:30:00Z")
    return value


def in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("is outside the years 1 to 9999") from error


Text = Annotated[str, AfterValidator(without_nul)]
Line = Annotated[Text, StringConstraints(max_length=500)]
# Not strict: what was looked at as text before is no longer JSON for pydantic, which then wants a datetime.
Moment = Annotated[AwareDatetime, Strict(False), BeforeValidator(written_out), AfterValidator(in_utc)]


class Shape(BaseModel):
    """A part of an answer. Its docstring and fields are what the documentation says."""

    model_config = ConfigDict(extra="forbid")


class Body(BaseModel):
    """What a request sends; a field that is not here is refused."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Query(BaseModel):
    """The parameters of an address; one that is not here is refused."""

    model_config = ConfigDict(extra="forbid")


class Chosen(Query):
    """The parameters of what can be asked for in part."""

    fields: str | None = Field(
        None, max_length=500, description="Names of the fields to send, with commas between them; `id` is always sent."
    )


class Listed(Chosen):
    """The parameters of every list."""

    limit: int = Field(USUAL, ge=1, le=MOST, description="How many items at most.")
    before: str | None = Field(None, max_length=32, description="Older items than at this place of an earlier answer.")
    after: str | None = Field(None, max_length=32, description="Newer items than at this place of an earlier answer.")

    @property
    def place(self) -> Place:
        """Return where the page begins. Raises CursorInvalid."""
        if self.before and self.after:
            raise CursorInvalid("both")
        return Place(
            Cursor.parse(self.before) if self.before is not None else None,
            Cursor.parse(self.after) if self.after is not None else None,
        )


Item = TypeVar("Item")


class Items(BaseModel, Generic[Item]):
    """A page of a list, the newest first."""

    model_config = ConfigDict(extra="forbid")

    items: list[Item]
    next: str | None = Field(description="The address of the next page, of older items.")
    prev: str | None = Field(description="The address of the page before, of newer items.")


class Named(Shape):
    """A person, as lists name them."""

    id: UUID
    username: str
    name: str


class Done(Shape):
    """That it was done, where there is nothing else to say."""

    done: bool
