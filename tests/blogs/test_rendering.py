"""Markdown to safe HTML."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cms.blogs.markdown import NESTING_LIMIT
from cms.blogs.markup import DEPTH_LIMIT
from cms.blogs.rendering import render
from tests.blogs.bombs import BOMBS

VOID = {"br", "col", "hr", "img", "input", "wbr"}


class Elements(HTMLParser):
    """The elements of some HTML with their attributes, and how deep they are nested."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.depth = self.deepest = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.depth += 1
            self.deepest = max(self.deepest, self.depth)

    def handle_endtag(self, tag: str) -> None:
        self.depth -= tag not in VOID


def html_of(markdown: str) -> str:
    return render(markdown).html


# --- nothing that runs -------------------------------------------------------------------------------------------

PIECES = [
    "<script>", "</script>", "<script src=//x>", "<svg onload=x>", "<math><mtext>", "<style>", "</style>",
    "<iframe src=x>", '<a href="javascript:x()">', "<a href=JaVa&#115;cript:x()>", '<a href=" java\tscript:x()">',
    "<img src=x onerror=x()>", "<p style=color:red>", '<p title="', "'", '"', ">", "<", "<!--", "-->", "<![CDATA[",
    "]]>", "<h1>", "<table>", "</table>", "<img title='<img ", "<div class=x style='", "[a](javascript:x)",
    "[a](data:text/html,x)", "![a](javascript:x)", "[a]: javascript:x\n\n[a]", "<javascript:x>", "`", "```html\n",
    "\n```\n", "\n\n", "\n", "    ", "|a|\n|-|\n", "- [ ] ", "[^1]", "\n[^1]: x\n", "<form action=x>",
    "<input onfocus=x autofocus>", "<base href=//x>", "<meta http-equiv=refresh>", "<object data=x>",
    "<link rel=stylesheet href=x>", "<details ontoggle=x open>", "<a href=vbscript:x>",
    "<noscript><p title='</noscript>", "<template><script>", "<textarea>", "<title>", "<plaintext>", "<xmp>",
    "<select><style>", "<td background=javascript:x>", "<a id=location href=//x>", "&lt;script&gt;", "&#60;script>",
    "\x0c", "\u2028",
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(PIECES) | st.text(max_size=8), max_size=12).map("".join)
DANGEROUS = {
    "script", "style", "iframe", "object", "embed", "form", "base", "meta", "link", "svg", "math", "template",
    "textarea", "noscript", "select", "button", "frame", "applet", "title", "plaintext", "xmp", "video", "audio",
    "source",
}  # fmt: skip


@settings(deadline=None)  # the machine may be busy
@given(TEXTS)
@example("<a title='<img onerror=alert(1)'>")
@example("<p title='<table onload=x>'>")
@example("<h1 title='<h1 style=x>'>")
@example('<img title="<img src=x onerror=y>" src=z>')
def test_nothing_that_runs_or_styles_itself_survives(markdown: str):
    assert_harmless(html_of(markdown))


@pytest.mark.parametrize("markdown", PIECES)
def test_no_dangerous_piece_survives_alone(markdown: str):
    assert_harmless(html_of(markdown + "x"))


def assert_harmless(html: str) -> None:
    for tag, attributes in Elements(html).found:
        assert tag not in DANGEROUS
        assert not [
            name for name in attributes if name.startswith("on") or name in {"style", "srcdoc", "srcset", "action"}
        ]
        for name in ("href", "src", "cite"):
            scheme = re.match(r"\s*([a-z][a-z0-9+.-]*):", attributes.get(name) or "", re.IGNORECASE)
            assert scheme is None or scheme[1].lower() in {"http", "https", "mailto"}


# --- limits -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_rendered_within_the_limits_of_nesting_and_size(name: str):
    html = html_of(BOMBS[name])
    assert Elements(html).deepest <= 2 * NESTING_LIMIT + 8
    assert len(html) < 3_000_000


def test_html_that_nests_as_deep_as_real_pages_do_stays_html():
    assert "<div>" in html_of("<div>" * (DEPTH_LIMIT // 10) + "x" + "</div>" * (DEPTH_LIMIT // 10))


def test_marks_nested_too_deep_are_shown_as_they_were_typed():
    html = html_of("**" * 60 + "word" + "**" * 60)
    assert html.count("<strong>") == html.count("</strong>") == NESTING_LIMIT
    assert "****" in html


# --- what authors write -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("markdown", "html"),
    [
        ("~~gone~~", "<s>gone</s>"),
        ("https://example.org/a", '<a href="https://example.org/a">'),
        ("run manage.py", "<p>run manage.py</p>"),
        ("- [x] done", '<li class="task-list-item"><label><input'),
        ("| a |\n|--:|\n| 1 |", '<td class="align-right">1</td>'),
        ("word[^1]\n\n[^1]: note", '<a href="#fn1" id="fnref1">1</a>'),
        ("```\nplain <b>\n```", "<code>plain &lt;b&gt;\n</code>"),
        ("```nosuchlanguage\nx\n```", '<code class="language-nosuchlanguage">x\n</code>'),
        ("```python\nif x: pass\n```", '<span class="k">if</span>'),
        ("<figure><figcaption>x</figcaption></figure>", "<figure><figcaption>x</figcaption></figure>"),
        ("<td align=right>", ""),
        ("“Quotes” -- and (c)", "“Quotes” -- and (c)"),
        ("&copy; <kbd>Ctrl</kbd>", "© <kbd>Ctrl</kbd>"),
    ],
)  # fmt: skip
def test_markdown_becomes_html(markdown: str, html: str):
    assert html in html_of(markdown)


def test_headings_begin_below_the_title_of_the_page():
    assert html_of("# One\n\n## Two\n\n<h6>Six</h6>") == ('<h2 id="one">One</h2>\n<h3 id="two">Two</h3>\n<h6>Six</h6>')


def test_headings_that_begin_at_the_second_level_stay_there():
    assert html_of("## Two\n\n### Three") == '<h2 id="two">Two</h2>\n<h3 id="three">Three</h3>\n'


def test_headings_of_one_name_have_ids_of_their_own():
    assert re.findall(r'id="([^"]*)"', html_of("## A\n\n## A\n\n## !?\n\n## 影師")) == ["a", "a-1", "section", "影師"]


def test_pictures_load_late_and_always_have_an_alternative_text():
    for markdown in ("![](/x.png)", "<img src=/x.png>", '<img src="/x.png" width="30" height="x">'):
        ((_, attributes),) = [element for element in Elements(html_of(markdown)).found if element[0] == "img"]
        assert (attributes["alt"], attributes["loading"], attributes["decoding"]) == ("", "lazy", "async")
        assert "height" not in attributes


def test_a_wide_table_scrolls_in_a_frame_that_the_keyboard_reaches():
    for markdown in ("|a|\n|-|\n|b|", "<table><tr><td>b</table>"):
        tag, attributes = Elements(html_of(markdown)).found[0]
        assert (tag, attributes["class"], attributes["tabindex"]) == ("div", "table-scroll", "0")


def test_classes_that_are_not_ours_are_left_out():
    assert html_of('<div class="masthead">x</div>') == "<div>x</div>"


# --- length -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("markdown", "words", "minutes"),
    [
        ("", 0, 0),
        ("one", 1, 1),
        ("it's a well-known **fact**", 4, 1),
        ("word " * 230, 230, 1),
        ("word " * 231, 231, 2),
        ("漢字" * 450, 900, 2),
        ("![not counted](/x.png)", 0, 0),
        ("a&nbsp;b &lt;c&gt;", 3, 1),
    ],
)
def test_words_are_counted_as_a_reader_sees_them(markdown: str, words: int, minutes: int):
    rendered = render(markdown)
    assert (rendered.word_count, rendered.reading_time_minutes) == (words, minutes)
