"""What signing in costs, and what it tells: a right password, a wrong one, and a name that nobody has.

Usage: python -m bench.sign_in [--times 200] [--url postgresql://…]

The three take turns, each from an address of its own, on SQLite in a temporary folder or on an empty database at
``--url``. The baseline is the comparison of one password alone, taken in the same run. Then the statements are
printed that a page for whoever is signed in asks, and those of a page for everybody with and without a session.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

import sqlalchemy as sa
from flask import Flask

from cms.accounts.models import RateLimit
from cms.accounts.passwords import hash_password, is_password
from cms.extensions import transaction
from tests.people import Visit, add_person
from tests.site import PASSWORD, counted, migrate, running, settings_for

RIGHT, WRONG, ABSENT = "a right password", "a wrong one", "a name that nobody has"
KINDS = {RIGHT: ("cleo", PASSWORD, 303), WRONG: ("cleo", "another lamp", 422), ABSENT: ("eve", PASSWORD, 422)}
FORGOTTEN_EVERY = 10  # tries: nobody here is a guesser
WARM = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=200)
    parser.add_argument("--url", help="a database that may be written to")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="cms-bench-") as name:
        folder = Path(name)
        url = options.url or f"sqlite:///{folder / 'site.db'}"
        migrate(url, folder)
        with running(settings_for(url, folder)) as app:
            user = add_person(app, "cleo", "author", password=PASSWORD)
            report_times(app, options.times)
            report_statements(app, Visit(app, user))


def report_times(app: Flask, times: int) -> None:
    stored = hash_password(PASSWORD)
    compared = median(cpu_ms(lambda: is_password(PASSWORD, stored)) for _ in range(times))
    taken: dict[str, list[tuple[float, float]]] = {kind: [] for kind in KINDS}
    order = list(KINDS)
    for number in range(times + WARM):
        if number % FORGOTTEN_EVERY == 0:
            with app.app_context(), transaction() as session:
                session.execute(sa.delete(RateLimit))
        order = order[1:] + order[:1]
        for kind in order:
            taken[kind].append(sign_in(app, kind, address=f"10.0.{number // 250}.{number % 250}"))
    walls = {}
    for kind, pairs in taken.items():
        wall, cpu = (median(part) for part in zip(*pairs[WARM:], strict=True))
        walls[kind] = wall
        print(f"{kind}: {wall:.1f} ms, {cpu:.1f} ms of them CPU; {cpu / compared:.2f} times one comparison")
    print(f"one comparison: {compared:.1f} ms CPU. wrong : absent = {walls[WRONG] / walls[ABSENT]:.3f}")


def sign_in(app: Flask, kind: str, *, address: str) -> tuple[float, float]:
    """Return the milliseconds that one try took, and how much of them was CPU."""
    login, password, expected = KINDS[kind]
    client, form = app.test_client(), {"login": login, "password": password}
    began, began_cpu = perf_counter(), process_time()
    answer = client.post("/account/sign-in", data=form, environ_base={"REMOTE_ADDR": address})
    took = (perf_counter() - began) * 1000, (process_time() - began_cpu) * 1000
    assert answer.status_code == expected, answer.status_code
    return took


def cpu_ms(work: Callable[[], object]) -> float:
    began = process_time()
    work()
    return (process_time() - began) * 1000


def report_statements(app: Flask, visit: Visit) -> None:
    for path, client in (("/", app.test_client()), ("/", visit.client), ("/account/", visit.client)):
        client.get(path)
        with counted(app) as seen:
            client.get(path)
        who = "signed in" if client is visit.client else "a stranger"
        print(f"{path} for {who}: {len(seen.sent)} statements")
        for statement in seen.sent:
            print(f"    {' '.join(statement.split())[:150]}")


if __name__ == "__main__":
    main()
