"""A passkey in software: it makes keys and signs as the browser of a person would have it done."""

from __future__ import annotations

import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from webauthn.helpers import encode_cbor

PRESENT, VERIFIED, HAS_KEY = 0x01, 0x04, 0x40


def text(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


def data(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Authenticator:
    """One key of one person. count: how often it signed; None for one that does not count."""

    host: str = "127.0.0.1"
    origin: str = "http://127.0.0.1:8000"
    count: int | None = 0
    verifies: bool = True
    key_id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def create(self, options: str) -> str:
        """Return what a browser sends after a key was made for these options."""
        client = self.client_data("webauthn.create", json.loads(options)["challenge"])
        numbers = self.key.public_key().public_numbers()
        public = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
        attested = bytes(16) + len(self.key_id).to_bytes(2, "big") + self.key_id + encode_cbor(public)
        made = encode_cbor({"fmt": "none", "attStmt": {}, "authData": self.own_data(HAS_KEY) + attested})
        return self.answer({"clientDataJSON": text(client), "attestationObject": text(made)})

    def get(self, options: str) -> str:
        """Return what a browser sends after the key signed for these options."""
        client = self.client_data("webauthn.get", json.loads(options)["challenge"])
        if self.count is not None:
            self.count += 1
        own = self.own_data()
        signature = self.key.sign(own + sha256(client).digest(), ec.ECDSA(SHA256()))
        return self.answer(
            {"clientDataJSON": text(client), "authenticatorData": text(own), "signature": text(signature)}
        )

    def client_data(self, kind: str, challenge: str) -> bytes:
        return json.dumps({"type": kind, "challenge": challenge, "origin": self.origin}).encode()

    def own_data(self, flags: int = 0) -> bytes:
        flags |= PRESENT | (VERIFIED if self.verifies else 0)
        return sha256(self.host.encode()).digest() + bytes([flags]) + (self.count or 0).to_bytes(4, "big")

    def answer(self, response: dict[str, Any]) -> str:  # Any: values of JSON
        key_id = text(self.key_id)
        return json.dumps({"id": key_id, "rawId": key_id, "type": "public-key", "response": response})
