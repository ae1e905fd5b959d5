"""Tell how far a long phase is: a line every few seconds, whatever it waits for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

Say = Callable[[str], None]
"""Tells the operator one line about what is going on; the management commands print it to stderr."""

EVERY_S = 5.0
MEGABYTE = 1_000_000
TELLING_SHARE = 0.02  # less says nothing about the time that the rest takes


class Readable(Protocol):
    """What a stream is read from."""

    def read(self, size: int = -1, /) -> bytes: ...


class Writable(Protocol):
    """What a stream is written to."""

    def write(self, data: bytes, /) -> int: ...


class Meter:
    """Says every five seconds how much of a phase is done, how fast, and how long the rest takes at that rate.

    From a thread of its own, so that a line also comes while one statement runs for minutes. A phase that ends
    sooner says nothing but its name.

    doing: the phase, such as "dumping cms". total_bytes: about how much there is; 0 where nobody knows.
    """

    def __init__(self, say: Say, doing: str, *, total_bytes: int = 0) -> None:
        self._say = say
        self._doing = doing
        self._total_bytes = total_bytes
        self._bytes = 0
        self._rows = 0
        self._file: Path | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._tell, daemon=True)

    def __enter__(self) -> Self:
        self._say(self._doing)
        self._began = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: object, _trace: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()

    def watch(self, path: Path) -> None:
        """Count the size of a file that a library writes in one go."""
        self._file = path

    def add(self, *, size_bytes: int = 0, rows: int = 0) -> None:
        """Count what has been done since the last call."""
        self._bytes += size_bytes
        self._rows += rows

    def reading(self, source: Readable) -> Readable:
        """Return the source, counting what is read from it."""
        return Counted(source, self)

    def writing(self, sink: Writable) -> Writable:
        """Return the sink, counting what is written to it."""
        return CountedSink(sink, self)

    def _tell(self) -> None:
        while not self._over.wait(EVERY_S):
            self._say(self.describe(time.monotonic() - self._began))

    def describe(self, elapsed_s: float) -> str:
        """Return the line for a phase that has run for so many seconds."""
        done_bytes = self._bytes + (self._file.stat().st_size if self._file and self._file.exists() else 0)
        if done_bytes < self._total_bytes * TELLING_SHARE or not done_bytes:
            return f"{self._doing}: {elapsed_s:,.0f} s so far"
        rows = f"{self._rows:,} rows, " if self._rows else ""
        total = f" of about {self._total_bytes / MEGABYTE:,.0f} MB" if self._total_bytes else ""
        rate = done_bytes / elapsed_s
        line = f"{self._doing}: {rows}{done_bytes / MEGABYTE:,.0f} MB{total}, {rate / MEGABYTE:,.0f} MB/s"
        left_bytes = self._total_bytes - done_bytes
        return f"{line}, about {left_bytes / rate:,.0f} s left" if left_bytes > 0 else line


class Counted:
    """A stream that tells a meter how much was read from it."""

    def __init__(self, source: Readable, meter: Meter) -> None:
        self._source = source
        self._meter = meter

    def read(self, size: int = -1, /) -> bytes:
        data = self._source.read(size)
        self._meter.add(size_bytes=len(data))
        return data


class CountedSink:
    """A sink that tells a meter how much was written to it."""

    def __init__(self, sink: Writable, meter: Meter) -> None:
        self._sink = sink
        self._meter = meter

    def write(self, data: bytes, /) -> int:
        self._meter.add(size_bytes=len(data))
        return self._sink.write(data)
