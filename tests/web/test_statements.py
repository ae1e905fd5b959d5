"""How often a page asks the database."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from cms.extensions import db
from tests.site import Site, counted

LIMITS = {
    "/": 2,
    "/post-4/": 2,
    "/tag/lamps/": 3,
    "/author/ada/": 2,
    "/nowhere/": 2,
    "/old/post.html": 1,
    "/sitemap.xml": 1,
    "/sitemap-posts.xml": 1,
}


@pytest.mark.parametrize(("path", "limit"), LIMITS.items())
def test_a_page_asks_the_database_a_fixed_number_of_times_and_opens_no_transaction(
    site: Site, client: FlaskClient, path: str, limit: int
):
    for number in range(8):
        site.write(f"Post {number}", tags=("lamps",))
    with counted(site.app) as statements:
        client.get(path)
    assert 0 < len(statements.sent) <= limit, statements.sent
    assert not {"BEGIN", "COMMIT", "ROLLBACK"} & set(statements.sent)


def test_all_statements_of_a_page_go_through_one_connection(site: Site, client: FlaskClient):
    site.write("Post")
    with site.app.app_context():
        pool = db.engine.pool
    taken = []
    sa.event.listen(pool, "checkout", lambda *_: taken.append(pool.checkedout()))
    client.get("/author/ada/")
    client.get("/post/")
    assert max(taken) == 1


def test_statements_of_a_list_do_not_load_the_text_of_its_posts(site: Site, client: FlaskClient):
    site.write("Post")
    with counted(site.app) as statements:
        client.get("/")
    assert "blogs.content" not in statements.sent[-1]


def test_the_health_check_does_not_ask_the_database(site: Site, client: FlaskClient):
    with counted(site.app) as statements:
        answer = client.get("/healthz")
    assert (answer.status_code, statements.sent) == (200, [])
