"""Old addresses of posts: the one form in which they are stored and looked up."""

from __future__ import annotations

import unicodedata
from urllib.parse import unquote, urlsplit

from cms.blogs.drafts import UNSTORABLE_IN_LINE, refuse_characters
from cms.blogs.errors import PostInvalid

PATH_LIMIT = 500


def redirect_path(address: str) -> str:
    """Return the form in which old addresses are stored and looked up. Raises PostInvalid."""
    try:
        path = unquote(urlsplit(address.strip()).path)
    except ValueError as error:
        raise PostInvalid("path", f"{address[:60]!r} is not an address", why=str(error)) from error
    path = "/" + unicodedata.normalize("NFC", path).strip("/")
    refuse_characters("path", path, UNSTORABLE_IN_LINE)
    if len(path) > PATH_LIMIT:
        raise PostInvalid(
            "path", "the old address is too long", why=f"it has {len(path)} characters, the limit is {PATH_LIMIT}"
        )
    return path
