"""An operator who waits is told how far a long phase is."""

from __future__ import annotations

import io
import threading

import pytest

from cms.database import progress
from cms.database.progress import Meter
from tests.database.rows import quiet


@pytest.mark.parametrize(
    ("total", "done", "rows", "elapsed_s", "line"),
    [
        (1_000_000_000, 250_000_000, 0, 10, "dumping: 250 MB of about 1,000 MB, 25 MB/s, about 30 s left"),
        (10**9, 250_000_000, 12_345, 10, "dumping: 12,345 rows, 250 MB of about 1,000 MB, 25 MB/s, about 30 s left"),
        (1_000_000_000, 8192, 1, 5, "dumping: 5 s so far"),
        (1_000_000, 2_000_000, 0, 2, "dumping: 2 MB of about 1 MB, 1 MB/s"),
        (0, 2_000_000, 0, 2, "dumping: 2 MB, 1 MB/s"),
        (0, 0, 0, 7, "dumping: 7 s so far"),
    ],
)  # fmt: skip
def test_a_line_tells_how_much_how_fast_and_how_long_still(total, done, rows, elapsed_s, line):
    meter = Meter(quiet, "dumping", total_bytes=total)
    meter.add(size_bytes=done, rows=rows)
    assert meter.describe(elapsed_s) == line


def test_what_is_read_and_written_is_counted():
    meter = Meter(quiet, "copying")
    assert meter.reading(io.BytesIO(b"x" * 1_000_000)).read() == b"x" * 1_000_000
    meter.writing(io.BytesIO()).write(b"x" * 1_000_000)
    assert meter.describe(2) == "copying: 2 MB, 1 MB/s"


def test_a_file_that_a_library_writes_is_measured_by_its_size(tmp_path):
    meter = Meter(quiet, "copying", total_bytes=4_000_000)
    meter.watch(tmp_path / "copy")
    assert meter.describe(1) == "copying: 1 s so far"
    (tmp_path / "copy").write_bytes(b"x" * 2_000_000)
    assert meter.describe(2) == "copying: 2 MB of about 4 MB, 1 MB/s, about 2 s left"


def test_lines_come_while_a_single_step_takes_long(monkeypatch):
    monkeypatch.setattr(progress, "EVERY_S", 0.01)  # the clock, as it were
    lines, third = [], threading.Event()

    def say(line):
        lines.append(line)
        if len(lines) == 3:
            third.set()

    with Meter(say, "waiting"):
        assert third.wait(10)
    assert lines[0] == "waiting"
    assert lines[1] == "waiting: 0 s so far"
