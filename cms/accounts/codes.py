"""Codes of an app (TOTP, RFC 6238) and recovery codes: as they are typed, and whether they are right."""

from __future__ import annotations

import hmac
import re
import secrets
from datetime import datetime
from uuid import UUID

from cms.accounts.sessions import hash_secret

STEP_S = 30
STEPS_AROUND = (0, -1, 1)  # clocks differ, and typing takes a while
APP_CODE = re.compile(r"[0-9]{6}")
RECOVERY_CODE = re.compile(r"[a-z2-7]{16}")
BETWEEN = re.compile(r"[\s-]+")


def plain(typed: str) -> str:
    """Return a code without what people type between its parts."""
    return BETWEEN.sub("", typed).lower()


def new_app_secret() -> str:
    import pyotp  # noqa: PLC0415 - no page of a reader needs it

    return pyotp.random_base32()


def app_address(secret: str, *, username: str, site_name: str) -> str:
    """Return the otpauth: address that an app reads from the picture."""
    import pyotp  # noqa: PLC0415

    return pyotp.TOTP(secret).provisioning_uri(name=username, issuer_name=site_name)


def draw(address: str) -> str:
    """Return a QR code of the address as an SVG element."""
    import segno  # noqa: PLC0415

    return segno.make(address, error="m").svg_inline(scale=4, light="#fff", title="QR code for your app")


def find_step(secret: str, code: str, *, at: datetime) -> int | None:
    """Return which 30 seconds since 1970 an app's code belongs to, of those at this moment; None if it is wrong."""
    import pyotp  # noqa: PLC0415

    if not APP_CODE.fullmatch(code):
        return None
    totp, present = pyotp.TOTP(secret), int(at.timestamp()) // STEP_S
    right = [step for step in STEPS_AROUND if hmac.compare_digest(totp.generate_otp(present + step), code)]
    return present + right[0] if right else None


def new_recovery_code() -> str:
    """Return a code of 80 random bits, in four parts to type."""
    letters = [secrets.choice("abcdefghijklmnopqrstuvwxyz234567") for _ in range(16)]
    return "-".join("".join(letters[start : start + 4]) for start in range(0, 16, 4))


def hash_recovery_code(user_id: UUID, code: str) -> str:
    return hash_secret(f"{user_id} {plain(code)}")
