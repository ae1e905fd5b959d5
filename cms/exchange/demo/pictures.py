"""The pictures of the demo posts, drawn by code when they are needed.

Drawn and not stored, so that the repository holds nothing binary and there is nothing to licence. The same
version of Pillow draws the same bytes every time: chance comes from fixed seeds, letters from Pillow's own font.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import diagrams, landscapes, still_lifes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .canvas import Canvas

PICTURES: dict[str, Callable[[], Canvas]] = {
    "backup-nobody-opened-cover.png": still_lifes.draw_drawers,
    "carrying-posts-cover.png": still_lifes.draw_cards,
    "eleven-seconds-cover.png": still_lifes.draw_queue_at_the_door,
    "eleven-seconds-queue.png": diagrams.draw_lock_queue,
    "every-element-cover.png": still_lifes.draw_mosaic,
    "every-element-tide.png": diagrams.draw_sample_tide,
    "file-beside-cover.png": landscapes.draw_tide,
    "file-beside-replay.png": diagrams.draw_log_replay,
    "garden-notebook-cover.png": landscapes.draw_garden,
    "garden-notebook-year.png": diagrams.draw_year_wheel,
    "logbook-cover.png": landscapes.draw_lighthouse,
    "logbook-revisions.png": diagrams.draw_revision_tree,
    "page-weight-chart.png": diagrams.draw_weights,
    "page-weight-cover.png": landscapes.draw_stones,
    "plain-text-lasts-cover.png": landscapes.draw_strata,
    "setting-type-contrast.png": diagrams.draw_contrasts,
    "setting-type-cover.png": still_lifes.draw_letters,
    "setting-type-leading.png": diagrams.draw_leadings,
    "setting-type-measure.png": diagrams.draw_measures,
    "winter-checklist-cover.png": landscapes.draw_winter,
}


def draw_pictures(folder: Path) -> list[Path]:
    """Draw every picture that the demo posts name.

    folder: where the PNG files go; made if it is missing. Files of the same name are replaced.
    Returns the files in order of their names. Raises OSError if the folder cannot be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return [draw_picture(name, folder) for name in sorted(PICTURES)]


def draw_picture(name: str, folder: Path) -> Path:
    """Draw one picture into a folder and return its file. Raises KeyError if no picture has that name."""
    file = folder / name
    PICTURES[name]().save(file)
    return file
