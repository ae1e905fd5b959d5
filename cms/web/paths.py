"""Which addresses lead nowhere but into this site, by the rules of browsers."""

from __future__ import annotations

import re

# Browsers take \ for /, drop tabs and line ends, and read // as the begin of a host.
PATH = re.compile(r"/(?![/\\])[^\s\\\x00-\x1f\x7f-\x9f\ud800-\udfff]{0,499}")


def is_own_path(text: str) -> bool:
    """Tell whether it is a path, with or without a query, that stays on this site wherever it is followed."""
    return PATH.fullmatch(text) is not None
