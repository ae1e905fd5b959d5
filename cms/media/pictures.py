"""What a picture is: told by its bytes, never by its name, and judged by its header before anything is decoded."""

from __future__ import annotations

import struct
import warnings
import zlib
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from cms.media.errors import PictureRefused

if TYPE_CHECKING:
    from PIL.Image import Image

SIZE_LIMIT_BYTES = 32 << 20
PIXEL_LIMIT = 40_000_000
SIDE_LIMIT = 20_000
FRAME_LIMIT = 200

# What Pillow's readers raise for bytes that only begin like a picture.
DAMAGED = (
    OSError, SyntaxError, ValueError, EOFError, ArithmeticError, LookupError, TypeError, RuntimeError, struct.error,
    zlib.error,
)  # fmt: skip

HINT = "nothing was stored; PNG, JPEG, GIF, WebP and AVIF are kept"


@dataclass(frozen=True)
class Format:
    """A kind of picture: Pillow's name for it, the ending of its files, its media type."""

    name: str
    ending: str
    content_type: str


PNG = Format("PNG", "png", "image/png")
JPEG = Format("JPEG", "jpg", "image/jpeg")
GIF = Format("GIF", "gif", "image/gif")
WEBP = Format("WEBP", "webp", "image/webp")
AVIF = Format("AVIF", "avif", "image/avif")
FORMATS = {each.ending: each for each in (PNG, JPEG, GIF, WEBP, AVIF)}


@dataclass(frozen=True)
class Picture:
    """What the header of a picture says; width and height in pixels."""

    format: Format
    width: int
    height: int


def inspect_picture(data: bytes) -> Picture:
    """Return what the bytes are, read from the header; the pixels are not decoded.

    Raises PictureRefused: another kind of file, damaged, over 32 MiB, over 40 megapixels, a side over 20,000 pixels,
    more than 200 frames.
    """
    if len(data) > SIZE_LIMIT_BYTES:
        raise PictureRefused(
            "the picture is too big", why=f"it has {len(data)} bytes, the limit is {SIZE_LIMIT_BYTES}", hint=HINT
        )
    kind = find_format(data)
    if kind is None:
        raise PictureRefused("this picture cannot be kept", why="its first bytes are of no kind we know", hint=HINT)
    return verify(data, kind)


def find_format(data: bytes) -> Format | None:
    """Return the kind that the first bytes claim, or None. Source: WHATWG MIME Sniffing, section 6.1."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return PNG
    if data.startswith(b"\xff\xd8\xff"):
        return JPEG
    if data.startswith((b"GIF87a", b"GIF89a")):
        return GIF
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return WEBP
    if data[4:8] == b"ftyp" and data[8:12] in {b"avif", b"avis"}:
        return AVIF
    return None


def verify(data: bytes, kind: Format) -> Picture:
    """Return the picture's size if Pillow agrees that it is one of this kind. Raises PictureRefused."""
    # Pillow takes a while to import, and only who stores pictures needs it.
    from PIL import Image  # noqa: PLC0415

    try:
        # Pillow only warns of what is up to twice its own limit, which is above ours.
        with warnings.catch_warnings(action="error", category=Image.DecompressionBombWarning):
            width, height = verified_size(Image.open(BytesIO(data), formats=[kind.name]))
    except PictureRefused:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PictureRefused("the picture has too many pixels", why=first_line(error), hint=HINT) from error
    except DAMAGED as error:
        raise PictureRefused(f"the {kind.name} picture is damaged", why=first_line(error), hint=HINT) from error
    return Picture(kind, width, height)


def cut_square(data: bytes, *, side: int = 400) -> bytes:
    """Return the middle of a picture as a square WebP, upright, without what a camera wrote into it, such as a place.

    side: in pixels. Raises PictureRefused as ``inspect_picture`` does.
    """
    kind = inspect_picture(data).format
    from PIL import Image, ImageOps  # noqa: PLC0415 - see verify

    try:
        with Image.open(BytesIO(data), formats=[kind.name]) as image:
            image.draft("RGB", (2 * side, 2 * side))  # a JPEG is read no bigger than is needed
            upright = ImageOps.exif_transpose(image).convert("RGBA")
            square = ImageOps.fit(upright, (side, side))
    except (*DAMAGED, Image.DecompressionBombError) as error:
        raise PictureRefused(f"the {kind.name} picture is damaged", why=first_line(error), hint=HINT) from error
    written = BytesIO()
    square.save(written, "WEBP", quality=85)
    return written.getvalue()


def verified_size(image: Image) -> tuple[int, int]:
    with image:
        refuse_bomb(image)
        image.verify()
        return image.size


def refuse_bomb(image: Image) -> None:
    """Raise PictureRefused for a picture that would cost too much to show."""
    width, height = image.size
    if width * height > PIXEL_LIMIT or max(width, height) > SIDE_LIMIT:
        raise PictureRefused(
            "the picture has too many pixels",
            why=f"it is {width} by {height}, the limits are {PIXEL_LIMIT} pixels and {SIDE_LIMIT} a side",
            hint=HINT,
        )
    frames = getattr(image, "n_frames", 1)
    if frames > FRAME_LIMIT:
        raise PictureRefused(
            "the picture has too many frames", why=f"it has {frames}, the limit is {FRAME_LIMIT}", hint=HINT
        )


def first_line(error: BaseException) -> str:
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__
