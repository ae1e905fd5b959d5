"""Finding posts by their words."""

from __future__ import annotations

import re
from contextlib import contextmanager
from datetime import timedelta
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cms.blogs import search as searching
from cms.blogs.models import Blog
from cms.blogs.search import EXCERPT, as_hit, language_of, pattern_of, words_of
from cms.blogs.services import PostDraft, update_post
from cms.extensions import transaction
from tests.blogs.test_pages import link, titles
from tests.site import NOON, Site, counted

FOX = "The quick brown fox jumps over the lazy dog."


def found(client: FlaskClient, typed: str) -> list[str]:
    answer = client.get(f"/search?q={quote(typed)}")
    assert answer.status_code == 200
    return titles(answer.text)


@contextmanager
def writing(site: Site):
    with site.app.app_context(), transaction() as session:
        yield session


# --- what is found ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "typed", ["lantern", "LANTERN", "lant", "harbour", "keeper", "lantern keeper", "keeper's lantern", "  lantern  "]
)
def test_a_post_is_found_by_words_of_its_title_summary_and_text(site: Site, client: FlaskClient, typed: str):
    site.write("A lantern", summary="Of the harbour", content="The *keeper's* hand.")
    site.write("Other", content=FOX)
    assert found(client, typed) == ["a-lantern"]


@pytest.mark.parametrize("typed", ["lantern fox", "antern", "lantern bright fox", "href", "strong", "example"])
def test_a_post_is_not_found_by_what_it_does_not_say(site: Site, client: FlaskClient, typed: str):
    site.write("A lantern", content="**Bright** [words](http://example.org/)")
    assert found(client, typed) == []


@pytest.mark.parametrize(
    "typed", ["18f.gsa.gov", "gsa", "3.14", "C:/a/b", "foo_bar", "ada@example.org", "e-mail", "mail"]
)
def test_words_that_punctuation_joins_are_found_together_and_apart(site: Site, client: FlaskClient, typed: str):
    site.write("Signs", content="Look at 18f.gsa.gov, 3.14, C:/a/b, foo_bar, ada@example.org and e-mail")
    site.write("Other", content=FOX)
    assert found(client, typed) == ["signs"]


@pytest.mark.parametrize("typed", ["影師", "影師嗎", "straße", "Straße", "café", "Привет"])
def test_words_of_any_script_are_found(site: Site, client: FlaskClient, typed: str):
    site.write("Signs", content="影師嗎 Straße café Привет")
    assert found(client, typed) == ["signs"]


def test_a_title_counts_for_more_than_a_summary_and_that_for_more_than_a_text(site: Site, client: FlaskClient):
    site.write("One lantern")
    site.write("Two", summary="A lantern")
    site.write("Three", content="A lantern")
    assert found(client, "lantern") == ["one-lantern", "two", "three"]


def test_of_equal_posts_the_newest_comes_first(site: Site, client: FlaskClient):
    site.write("Old", content=FOX, created_at=NOON - timedelta(days=9))
    site.write("New", content=FOX, created_at=NOON)
    site.write("Middle", content=FOX, created_at=NOON - timedelta(days=1))
    assert found(client, "fox") == ["new", "middle", "old"]


@pytest.mark.parametrize("status", ["draft", "archived"])
def test_what_is_not_published_is_not_found(site: Site, client: FlaskClient, status: str):
    site.write("Secret", content=FOX, status=status)
    assert found(client, "fox") == []


def test_the_index_follows_a_post_through_its_life(site: Site, client: FlaskClient):
    blog = site.write("Post", content=FOX)
    for status, content, expected in (("published", "A cat.", []), ("draft", FOX, []), ("published", FOX, ["post"])):
        with writing(site) as session:
            draft = PostDraft(title="Post", content=content, status=status)
            update_post(session, session.merge(blog), draft, at=NOON)
        assert found(client, "fox") == expected
    with writing(site) as session:
        session.execute(sa.delete(Blog))
    assert found(client, "fox") == []


def test_a_deleted_author_leaves_nothing_in_the_index(site: Site, client: FlaskClient):
    site.write("Post", content=FOX)
    with writing(site) as session:
        session.execute(sa.text("DELETE FROM users"))
        tables = ["blog_search", *(["blog_words"] if session.get_bind().dialect.name == "sqlite" else [])]
        assert [session.scalar(sa.text(f"SELECT count(*) FROM {table}")) for table in tables] == [0] * len(tables)


def test_a_program_that_knows_no_search_keeps_the_index_in_step(site: Site, client: FlaskClient):
    site.write("Post", content="A cat.")
    with writing(site) as session:
        session.execute(sa.text("UPDATE blogs SET content = 'The **fox**', content_text = NULL"))
    assert found(client, "fox") == ["post"]


def test_posts_of_the_same_moment_are_all_found(site: Site, client: FlaskClient):
    for number in range(3):
        site.write(f"Post {number}", content=FOX, created_at=NOON)
    assert sorted(found(client, "fox")) == ["post-0", "post-1", "post-2"]


def test_forms_of_a_word_are_found_on_postgresql(site: Site, client: FlaskClient):
    site.write("Post", content="She was running with lanterns.")
    expected = ["post"] if site.app.config["DATABASE_URL"].startswith("postgresql") else []
    assert found(client, "runs") == expected
    assert found(client, "lantern") == ["post"]


def test_the_longest_text_can_be_saved_and_is_found_by_its_beginning(site: Site, client: FlaskClient):
    words = " ".join(f"{chr(0x20000 + number % 40000)}{number:x}" for number in range(60_000))
    site.write("Post", content=f"fox {words}")
    assert found(client, "fox") == ["post"]


# --- what is looked at --------------------------------------------------------------------------------------------


def test_of_a_common_word_only_the_newest_posts_are_ranked(site: Site, client: FlaskClient, monkeypatch):
    monkeypatch.setattr(searching, "RANKED", 3)
    for number in range(5):
        site.write(f"Post {number}", content=FOX)
    page = client.get("/search?q=fox").text
    assert titles(page) == ["post-4", "post-3", "post-2"]


def test_results_are_turned_page_by_page(site: Site, client: FlaskClient):
    for number in range(7):
        site.write(f"Post {number}", content=FOX)
    pages, address = [], "/search?q=fox%26"
    while address and len(pages) <= 3:
        pages.append(client.get(address).text)
        address = link(pages[-1], "next")
    assert [titles(page) for page in pages] == [
        ["post-6", "post-5", "post-4"], ["post-3", "post-2", "post-1"], ["post-0"]
    ]  # fmt: skip
    assert link(pages[1], "prev") == "/search?q=fox%26"
    assert "7 posts" in pages[0]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("q=fox&page=2", 404), ("q=fox&page=0", 400), ("q=fox&page=x", 400), ("q=fox&page=-1", 400), ("page=2", 404),
        ("q=fox&page=%C2%B2", 400), ("q=fox&page=999999999999999999999", 400), ("q=a&q=b", 400), ("q=%00", 400),
        ("q=%FF", 400), ("q=fox&page=1", 200), ("", 200), ("q=", 200), ("q=...", 200),
    ],
)  # fmt: skip
def test_odd_searches_have_an_answer(site: Site, client: FlaskClient, query: str, status: int):
    site.write("Post", content=FOX)
    assert client.get(f"/search?{query}").status_code == status


def test_a_search_asks_the_database_twice_and_opens_no_transaction(site: Site, client: FlaskClient):
    for number in range(8):
        site.write(f"Post {number}", content=FOX)
    with counted(site.app) as statements:
        client.get("/search?q=fox+dog")
    assert len(statements.sent) == 2
    with counted(site.app) as statements:
        client.get("/search?q=nothing")
    assert len(statements.sent) == 1
    with counted(site.app) as statements:
        client.get("/search")
    assert statements.sent == []


def test_the_page_of_results_is_for_no_search_engine_and_anybody_may_keep_it(site: Site, client: FlaskClient):
    answer = client.get("/search?q=fox")
    assert '<meta name="robots" content="noindex, follow">' in answer.text
    assert answer.headers["Cache-Control"].startswith("public")
    empty = client.get("/search").text
    assert "noindex" not in empty
    assert '<meta name="description" content="Search the titles, summaries and texts' in empty


# --- what a reader types is never an operator ----------------------------------------------------------------------

TEXTS = {"fox": FOX, "cat": "A cat sleeps.", "both": "A fox and a cat."}
OPERATORS = ["AND", "OR", "NOT", "NEAR", "&", "|", "!", "<->", ":*", "*", "(", ")", '"', "'", "''", "\\", "-", "^", "+"]
OPERATORS += ["{title}", "title:", ":A", "%", "_", ";", "--", "/*", "$$", "\u2019", "::text", "\\:", ":name", "?"]
WORDS = ["fox", "cat", "dog", "a"]


@pytest.mark.parametrize("operator", OPERATORS)
def test_an_operator_neither_widens_a_search_nor_fails(site: Site, client: FlaskClient, operator: str):
    for title, content in TEXTS.items():
        site.write(title, content=content)
    for typed in (
        f"fox {operator} cat",
        f"fox{operator}cat",
        f"{operator}fox cat",
        f"fox cat{operator}",
        f"fox cat {operator}",
    ):
        assert set(found(client, typed)) <= {"both"}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.text(max_size=40), st.lists(st.sampled_from(WORDS + OPERATORS), max_size=8).map(" ".join)))
@example("'' : * \\")
@example("a" * 500)
@example("🎉 🎉")
@example("हिन्दी ก็ é \u0301")
def test_whatever_is_typed_is_answered_with_posts_that_hold_each_word(fuzzed: tuple[Site, FlaskClient], typed: str):
    _, client = fuzzed
    answer = client.get("/search", query_string={"q": typed.encode("utf-8", "replace").decode()})
    clean = not re.search(r"[\x00-\x1f\x7f-\x9f]", typed)
    assert answer.status_code == (200 if clean else 400)
    words = [word for word in words_of(typed[:200]) if word.lower() in WORDS and word.lower() != "a"]
    for title in titles(answer.text) if clean else ():
        assert all(word.lower() in TEXTS[title].lower() for word in words)


@pytest.fixture
def fuzzed(site: Site, client: FlaskClient) -> tuple[Site, FlaskClient]:
    for title, content in TEXTS.items():
        site.write(title, content=content)
    return site, client


@given(st.text())
def test_the_words_of_a_search_hold_no_punctuation_and_are_few(typed: str):
    words = words_of(typed)
    assert len(words) <= 8
    assert all(0 < len(word) <= 60 and not set(word) & set("\"'\\:%&|!()*-^+{}<>") for word in words)


@pytest.mark.parametrize(
    ("tag", "language"),
    [("en", "english"), ("de-AT", "german"), ("PT-br", "portuguese"), ("ja", "simple"), ("zz", "simple")],
)
def test_a_site_is_searched_in_its_language(tag: str, language: str):
    assert language_of(tag) == language


# --- how it is shown ----------------------------------------------------------------------------------------------


def test_the_words_are_marked_in_title_and_excerpt(site: Site, client: FlaskClient):
    site.write("On foxes", content="Before. " * 40 + "A quick <b>fox</b> & more. " + "After. " * 90)
    page = client.get("/search?q=fox").text
    assert "On <mark>foxes</mark></a>" in page
    excerpt = re.search(r'<p class="summary">(.*)</p>', page)[1]
    assert "… Before." in excerpt
    assert "A quick <mark>fox</mark> &amp; more. After." in excerpt
    assert excerpt.endswith("After. …")


def test_nothing_that_is_typed_or_written_becomes_markup(site: Site, client: FlaskClient):
    site.write("On <i>fox</i>", content="`<script>alert(1)</script> fox`")
    page = client.get("/search", query_string={"q": '"><script>alert(2)</script> fox'}).text
    assert "<script>alert" not in page
    page = client.get("/search?q=fox").text
    assert "On &lt;i&gt;<mark>fox</mark>&lt;/i&gt;" in page
    assert "&lt;script&gt;" in page


def test_a_search_without_result_says_so_and_keeps_what_was_typed(site: Site, client: FlaskClient):
    page = client.get("/search?q=unicorn").text
    assert 'value="unicorn"' in page
    assert "No post holds this word" in page


@pytest.mark.parametrize("path", ["/nowhere/", "/search?q=x&page=9"])
def test_who_finds_no_page_is_offered_a_search(client: FlaskClient, path: str):
    answer = client.get(path)
    assert answer.status_code == 404
    assert '<form class="search" action="/search" role="search">' in answer.text


@given(st.text(), st.text(), st.lists(st.text(alphabet="abcé影", min_size=1), min_size=1, max_size=3))
def test_an_excerpt_is_bounded_and_marks_change_no_letter(title: str, text: str, words: list[str]):
    post = type("Post", (), {"title": title, "summary": None})()
    hit = as_hit(post, text, pattern_of(words))
    assert hit.title.replace("<mark>", "").replace("</mark>", "").unescape() == title
    plain = hit.excerpt.replace("<mark>", "").replace("</mark>", "").unescape()
    assert len(plain) <= EXCERPT + 4
    assert plain.removeprefix("… ").removesuffix(" …") in text
