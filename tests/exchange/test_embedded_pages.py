"""Foreign players: each becomes a link, as the site's policy lets none run."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cms.blogs.rendering import render
from cms.exchange.embedded_pages import link_embedded_pages


def html_of(text: str) -> str:
    return render(link_embedded_pages(text, [])).html.strip()


@pytest.mark.parametrize(
    ("src", "address"),
    [
        (
            "https://www.youtube.com/embed/mO8PiHST5CI?start=159",
            "https://www.youtube.com/watch?v=mO8PiHST5CI&amp;t=159",
        ),
        ("//www.youtube-nocookie.com/embed/c1MCyS-O_3Y", "https://www.youtube.com/watch?v=c1MCyS-O_3Y"),
        ("https://player.vimeo.com/video/123", "https://vimeo.com/123"),
        ("//speakerdeck.com/player/5604", "https://speakerdeck.com/player/5604"),
        ("http://example.org/?a=1&amp;b=2", "http://example.org/?a=1&amp;b=2"),
    ],
)
def test_an_embedded_page_becomes_a_link_that_a_person_can_open(src: str, address: str) -> None:
    text = f'Look:\n\n<iframe width="560"\n src="{src}"\n title="A &quot;film&quot; of [Ben] & *Cleo*"></iframe>\n\nEnd'
    link = f'<a href="{address}">A "film" of [Ben] &amp; *Cleo*</a>'
    assert html_of(text) == f"<p>Look:</p>\n<p>{link}</p>\n<p>End</p>"


def test_an_embedded_page_in_html_becomes_a_link_named_by_its_address() -> None:
    text = '<div class="film">\n  <iframe src="//example.org/v" allowfullscreen>\n  </iframe>\n</div>\n'
    assert html_of(text) == '<div>\n  <a href="https://example.org/v">https://example.org/v</a>\n</div>'


def test_the_report_says_what_became_of_embedded_pages() -> None:
    notes: list[str] = []
    text = link_embedded_pages(
        "<iframe src=https://example.org/v></iframe>a<iframe src='javascript:x()'></iframe>b", notes
    )
    assert text.endswith("</a>ab")
    assert notes == [
        "the embedded page https://example.org/v became a link",
        "an embedded page removed, as its address is 'javascript:x()'",
    ]


@pytest.mark.parametrize("text", ["`<iframe src='//a'></iframe>`", "```\n<iframe src='//a'>\n```", "an iframe"])
def test_an_embedded_page_in_code_stays_an_example(text: str) -> None:
    assert link_embedded_pages(text, []) == text


def test_text_after_a_player_that_is_never_closed_stays() -> None:
    assert html_of('<iframe src="//example.org/v">\n\nthe *post* <b>goes on</b>').endswith(
        "<em>post</em> <b>goes on</b></p>"
    )


@pytest.mark.parametrize("piece", ["<iframe ", "<iframe>", "<iframe a=", "<iframe src='//a'>x", '<iframe src="'])
def test_hostile_players_take_no_quadratic_time(piece: str) -> None:
    started = time.monotonic()
    link_embedded_pages(piece * (500_000 // len(piece)), [])
    assert time.monotonic() - started < 5


@given(st.text(alphabet="<iframe src=\"'/>:[]a \n", max_size=200).map(lambda text: f"<iframe {text}></iframe>"))
def test_no_text_makes_the_linking_fail(text: str) -> None:
    link_embedded_pages(text, [])
