"""Pictures of every kind that is kept."""

from __future__ import annotations

from io import BytesIO

from PIL import Image

KINDS = {"png": "PNG", "jpg": "JPEG", "gif": "GIF", "webp": "WEBP", "avif": "AVIF"}


def picture(kind: str = "PNG", size: tuple[int, int] = (3, 2), *, frames: int = 1) -> bytes:
    buffer = BytesIO()
    images = [Image.new("RGB", size, (number % 256, number // 256, 0)) for number in range(frames)]
    more = {"save_all": True, "append_images": images[1:]} if frames > 1 else {}
    images[0].save(buffer, kind, **more)
    return buffer.getvalue()
