"""Stored HTML for readers elsewhere: addresses that mean the same on any page."""

from __future__ import annotations

import html
import re
from urllib.parse import urljoin

# Stored HTML was written by the sanitizer: every "<" begins a tag and every value stands in double quotes. A value may
# hold anything else, ">" and " href=" included, so tags and attributes are walked one by one.
TAG = re.compile(r'<[a-z][a-z0-9]*((?: [^\s=>"]+="[^"]*")+)')
ATTRIBUTE = re.compile(r' ([^\s=>"]+)="([^"]*)"')
ADDRESSES = frozenset({"href", "src", "cite"})


def with_absolute_addresses(body: str, page: str) -> str:
    """Return stored HTML in which every address is complete.

    page: address of the page on which the HTML stands, with scheme and host.
    """

    def complete(found: re.Match[str]) -> str:
        name, value = found.groups()
        return (
            f' {name}="{html.escape(complete_address(page, html.unescape(value)))}"' if name in ADDRESSES else found[0]
        )

    return TAG.sub(lambda tag: ATTRIBUTE.sub(complete, tag[0]), body)


def complete_address(page: str, address: str) -> str:
    """Return the address that a link on the page leads to; what cannot be understood stays."""
    try:
        return urljoin(page, address)
    except ValueError:
        return address
