"""deploy/nginx.conf in a real nginx, in front of an application that notes what reaches it. Left out without nginx."""

from __future__ import annotations

import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from config import load_config
from tests.deploy.programs import CONF, ROOT, run, running, settings_of_site, wait_until

SHIPPED = (ROOT / "deploy" / "nginx.conf").read_text(encoding="utf-8")
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
needs_nginx = pytest.mark.skipif(not NGINX, reason="NO NGINX HERE: deploy/nginx.conf was not tried (apt: nginx-light)")

AROUND = """
{user}
daemon off;
pid {folder}/nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/cms.conf;
}}
"""
ANSWERS = {
    "/public": {"Cache-Control": "public, max-age=60", "Content-Type": "text/html"},
    "/private": {"Cache-Control": "private, max-age=60", "Content-Type": "text/html"},
    "/unsaid": {"Content-Type": "text/html"},
    "/signing-in": {"Cache-Control": "public, max-age=60", "Set-Cookie": "session=1", "Content-Type": "text/html"},
    "/json": {"ETag": '"strong"', "Content-Type": "application/json"},
}


class Application(ThreadingHTTPServer):
    """Answers by ANSWERS and keeps each request's path and headers."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.seen: list[tuple[str, dict[str, str]]] = []


class Answering(BaseHTTPRequestHandler):
    server: Application

    def do_GET(self) -> None:
        self.server.seen.append((self.path, dict(self.headers)))
        body = b"words " * 500
        self.send_response(200)
        for name, value in {**ANSWERS[self.path], "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Stay silent."""


@pytest.fixture
def application() -> Iterator[Application]:
    with Application() as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.02])
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def write_conf(folder: Path, *, port: int, application_port: int) -> Path:
    """Write the shipped file with this test's ports and folder into it, and a main file around it."""
    mine = SHIPPED
    for shipped, own in {
        "127.0.0.1:8000": f"127.0.0.1:{application_port}",
        "listen 80;": f"listen 127.0.0.1:{port};",
        "/var/cache/cms-pages": f"{folder}/pages",
    }.items():
        assert mine.count(shipped) == 1
        mine = mine.replace(shipped, own)
    (folder / "cms.conf").write_text(mine)
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(AROUND.format(folder=folder, user=user))
    return folder / "nginx.conf"


class Proxy:
    """A running nginx."""

    def __init__(self, port: int) -> None:
        self.port = port

    def ask(self, path: str, *, method: str = "GET", body: bytes | None = None, **headers: str) -> HTTPResponse:
        """Return the answer, read to its end."""
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=20)) as connection:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, {"Host": "blog.example.org", **named})
            answer = connection.getresponse()
            answer.read()
            return answer

    def is_up(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@contextmanager
def nginx_before(application_port: int, folder: Path) -> Iterator[Proxy]:
    """Run nginx with the shipped settings in front of the application."""
    proxy = Proxy(free_port())
    conf = write_conf(folder, port=proxy.port, application_port=application_port)
    with running([NGINX, "-c", conf], {"PATH": os.environ["PATH"]}, folder / "nginx.log"):
        wait_until(proxy.is_up, "nginx to listen")
        yield proxy


@pytest.fixture
def proxy(tmp_path: Path, application: Application) -> Iterator[Proxy]:
    with nginx_before(application.server_port, tmp_path) as found:
        yield found


def test_the_proxy_takes_the_same_size_of_body_as_the_site():
    assert f"client_max_body_size {load_config({}).MAX_CONTENT_LENGTH};" in SHIPPED


@needs_nginx
def test_nginx_understands_the_file(tmp_path: Path):
    conf = write_conf(tmp_path, port=free_port(), application_port=1)
    done = run([NGINX, "-t", "-c", conf], {"PATH": os.environ["PATH"]})
    assert done.returncode == 0, done.stdout
    assert "[warn]" not in done.stdout


@needs_nginx
def test_a_public_page_is_asked_for_once(proxy: Proxy, application: Application):
    answers = [proxy.ask("/public").getheader("X-Cache") for _ in range(2)]
    assert answers == ["MISS", "HIT"]
    assert len(application.seen) == 1


@needs_nginx
@pytest.mark.parametrize("path", ["/private", "/unsaid", "/signing-in"])
def test_what_the_application_does_not_call_public_is_asked_for_each_time(proxy, application, path):
    for _ in range(2):
        proxy.ask(path)
    assert len(application.seen) == 2


@needs_nginx
@pytest.mark.parametrize("header", ["Cookie", "Authorization"])
def test_who_is_known_neither_gets_nor_leaves_a_kept_page(proxy, application, header):
    proxy.ask("/public", **{header: "session=1"})
    proxy.ask("/public")
    proxy.ask("/public", **{header: "session=1"})
    assert len(application.seen) == 3


@needs_nginx
def test_a_page_from_the_cache_is_shown_while_the_application_is_away(proxy, application):
    proxy.ask("/unsaid")
    proxy.ask("/public")
    application.shutdown()
    application.server_close()
    assert proxy.ask("/public").status == 200
    assert proxy.ask("/unsaid").status == 502


@needs_nginx
def test_the_application_is_told_who_asks_and_no_visitors_claims(proxy, application):
    claims = {
        "X_Forwarded_For": "6.6.6.6", "X_Forwarded_Proto": "https", "X_Forwarded_Host": "evil.example",
        "X_Forwarded_Port": "6", "X_Forwarded_Prefix": "/evil", "Forwarded": "for=6.6.6.6",
    }  # fmt: skip
    proxy.ask("/unsaid", **claims)
    ((_, headers),) = application.seen
    told = {name: value for name, value in headers.items() if "forwarded" in name.lower() or name == "Host"}
    assert told == {
        "Host": "blog.example.org", "X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http",
        "X-Forwarded-Host": "blog.example.org",
    }  # fmt: skip


@needs_nginx
def test_pages_are_compressed_and_json_keeps_its_strong_etag(proxy):
    assert proxy.ask("/unsaid", Accept_Encoding="gzip").getheader("Content-Encoding") == "gzip"
    answer = proxy.ask("/json", Accept_Encoding="gzip")
    assert (answer.getheader("Content-Encoding"), answer.getheader("ETag")) == (None, '"strong"')


@needs_nginx
def test_a_body_over_the_limit_does_not_reach_the_application(proxy, application):
    limit = load_config({}).MAX_CONTENT_LENGTH
    assert proxy.ask("/unsaid", method="POST", body=b"x" * limit).status == 200
    assert proxy.ask("/unsaid", method="POST", Content_Length=str(limit + 1)).status == 413
    assert len(application.seen) == 1


# What every application does with a form, before anything else.
READING = """
def app(environ, start_response):
    environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    start_response("200 OK", [("Content-Length", "0")])
    return []
"""
SLOW_REQUESTS = {
    "headers": b"GET / HTTP/1.1\r\nHost: blog.example.org\r\nX-Slow: ",
    "body": b"POST / HTTP/1.1\r\nHost: blog.example.org\r\nContent-Length: 1000\r\n\r\nx",
}


@needs_nginx
@pytest.mark.parametrize("slow", SLOW_REQUESTS)
def test_sixty_slow_visitors_do_not_keep_the_others_from_the_site(tmp_path, slow):
    (tmp_path / "reading.py").write_text(READING)
    settings = settings_of_site(tmp_path, TRUSTED_PROXIES="1")
    with (
        running(["gunicorn", "-c", CONF, "--pythonpath", tmp_path, "reading:app"], settings, tmp_path / "log") as site,
        nginx_before(site.port(), tmp_path) as proxy,
        ExitStack() as visitors,
    ):
        assert proxy.ask("/").status == 200
        for _ in range(60):
            visitor = visitors.enter_context(socket.create_connection(("127.0.0.1", proxy.port)))
            visitor.sendall(SLOW_REQUESTS[slow])

        began = time.monotonic()
        assert {proxy.ask("/").status for _ in range(20)} == {200}
        assert time.monotonic() - began < 5, "they waited for nginx to give the slow ones up (10 s)"
