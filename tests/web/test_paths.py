"""Which addresses stay on this site, as browsers read them."""

from __future__ import annotations

import pytest

from cms.web.paths import is_own_path

ELSEWHERE = [
    "//evil.example", "///evil.example", "////evil.example", "/\\evil.example", "\\\\evil.example", "/\t/evil.example",
    "/\n/evil.example", "/\r//evil.example", " //evil.example", "//user@evil.example", "//evil.example:80", "http:evil",
    "https:evil.example", "https://evil.example", "http:///evil.example", "javascript:alert(1)", "data:text/html,x",
    "evil.example", "", "?x=/", "#/", ".", "/a b", "/\x00", "/a\\b", "/\x85", "/\ud800", "/" + "a" * 600,
    "mailto:a@b.example", "\x01//evil.example", "/\x0b/evil.example",
]  # fmt: skip


@pytest.mark.parametrize("address", ELSEWHERE)
def test_an_address_that_leads_elsewhere_is_none_of_ours(address: str):
    assert not is_own_path(address)


@pytest.mark.parametrize("address", ["/", "/account/?a=1&b=2", "/%2F%2Fevil.example", "/tag/東京/", "/a//b", "/@b:c"])
def test_a_path_is_ours(address: str):
    assert is_own_path(address)
