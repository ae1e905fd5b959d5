"""A small S3: enough of the protocol for a client that puts, gets, lists and deletes, and faults to order."""

from __future__ import annotations

import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape, unescape

if TYPE_CHECKING:
    from collections.abc import Iterator

BUCKET = "/bucket/"


@dataclass
class Bucket:
    """What the server holds, what was asked of it, and what it shall do wrong."""

    objects: dict[str, bytes] = field(default_factory=dict)
    parts: dict[tuple[str, str], dict[int, bytes]] = field(default_factory=dict)
    puts: list[str] = field(default_factory=list)
    secrets_seen: set[str] = field(default_factory=set)
    refuse_after: int | None = None
    spoil: str | None = None
    port: int = 0

    def store(self, key: str, content: bytes) -> None:
        self.puts.append(key)
        self.objects[key] = content[:-1] + b"?" if self.spoil and self.spoil in key else content


class Handler(BaseHTTPRequestHandler):
    bucket: Bucket
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    @property
    def key(self) -> str:
        return unquote(urlsplit(self.path).path).removeprefix(BUCKET)

    @property
    def query(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.path).query, keep_blank_values=True).items()}

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), "ETag": '"e"', **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.bucket.refuse_after is not None and len(self.bucket.puts) >= self.bucket.refuse_after:
            self.answer(403, b"<Error><Code>AccessDenied</Code></Error>")
        elif "uploadId" in self.query:
            self.bucket.parts[self.key, self.query["uploadId"]][int(self.query["partNumber"])] = content
            self.answer(200)
        else:
            self.bucket.store(self.key, content)
            self.answer(200)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        if "delete" in self.query:
            for key in re.findall("<Key>(.*?)</Key>", body):
                self.bucket.objects.pop(unescape(key), None)
            self.answer(200, b"<DeleteResult></DeleteResult>")
            return
        if "uploads" in self.query:
            self.bucket.parts[self.key, "1"] = {}
            self.answer(200, b"<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>")
            return
        parts = self.bucket.parts.pop((self.key, self.query["uploadId"]))
        self.bucket.store(self.key, b"".join(parts[number] for number in sorted(parts)))
        self.answer(200, b"<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>")

    def do_GET(self) -> None:
        if self.query.get("list-type") == "2":
            self.list()
            return
        content = self.bucket.objects.get(self.key)
        if content is None:
            self.answer(404)
            return
        modified = {"Last_Modified": "Tue, 24 Nov 2026 10:00:00 GMT"}
        asked = self.headers.get("Range")
        if asked and content:
            first, last = (int(number) for number in asked.removeprefix("bytes=").split("-"))
            last = min(last, len(content) - 1)
            self.answer(
                206, content[first : last + 1], Content_Range=f"bytes {first}-{last}/{len(content)}", **modified
            )
        else:
            self.answer(200, content, **modified)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_DELETE(self) -> None:
        self.bucket.objects.pop(self.key, None)
        self.answer(204)

    def list(self) -> None:
        prefix, delimiter = self.query.get("prefix", ""), self.query.get("delimiter")
        names = [key for key in sorted(self.bucket.objects) if key.startswith(prefix)]
        folders = sorted(
            {f"{prefix}{key[len(prefix) :].partition('/')[0]}/" for key in names if "/" in key[len(prefix) :]}
        )
        listed = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>2026-11-24T10:00:00.000Z</LastModified>"
            f"<ETag>e</ETag><Size>{len(self.bucket.objects[key])}</Size></Contents>"
            for key in names if not (delimiter and "/" in key[len(prefix):])
        )  # fmt: skip
        listed += "".join(
            f"<CommonPrefixes><Prefix>{quote(each)}</Prefix></CommonPrefixes>" for each in folders if delimiter
        )
        self.answer(200, f"<ListBucketResult><IsTruncated>false</IsTruncated>{listed}</ListBucketResult>".encode())


@contextmanager
def serving() -> Iterator[Bucket]:
    """Serve an empty bucket on a free port."""
    bucket = Bucket()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"bucket": bucket}))
    bucket.port = server.server_port
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield bucket
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
