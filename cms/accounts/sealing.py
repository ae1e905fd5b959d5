"""Secrets that have to be read again, such as an app's: sealed with a key made from SECRET_KEY.

Whoever reads the database alone cannot read them. After SECRET_KEY was changed nobody can.
"""

from __future__ import annotations

import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode

from flask import current_app

NONCE_BYTES = 12


def seal(text: str, *, about: str) -> str:
    """Return the text so that only ``unseal`` reads it, and only for the same ``about``, such as whose it is."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - no page of a reader needs it

    nonce = secrets.token_bytes(NONCE_BYTES)
    return urlsafe_b64encode(nonce + AESGCM(sealing_key()).encrypt(nonce, text.encode(), about.encode())).decode()


def unseal(sealed: str, *, about: str) -> str | None:
    """Return the text; None if it was sealed about something else, with another SECRET_KEY, or not at all."""
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

    try:
        box = urlsafe_b64decode(sealed.encode())
        return AESGCM(sealing_key()).decrypt(box[:NONCE_BYTES], box[NONCE_BYTES:], about.encode()).decode()
    except (InvalidTag, ValueError):
        return None


def sealing_key() -> bytes:
    """Return 256 bits made from SECRET_KEY for this use alone (HKDF, RFC 5869)."""
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: PLC0415

    key: str = current_app.config["SECRET_KEY"]
    return HKDF(SHA256(), length=32, salt=None, info=b"cms: sealed secrets").derive(key.encode())
