"""Where else people may sign in: the providers that the settings name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

GOOGLE, GITHUB, OIDC = "google", "github", "oidc"
GOOGLE_ISSUER, GITHUB_ISSUER = "https://accounts.google.com", "https://github.com"
# Of these there is one in the world, so sites that we adopted could leave the issuer out.
WORLDWIDE = frozenset({GOOGLE_ISSUER, GITHUB_ISSUER})

NEEDED = {
    GOOGLE: ("GOOGLE_CLIENT_ID", "GOOGLE_CLIENT_SECRET"),
    GITHUB: ("GITHUB_CLIENT_ID", "GITHUB_CLIENT_SECRET"),
    OIDC: ("OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET", "OIDC_ISSUER"),
}


@dataclass(frozen=True)
class Provider:
    """A place that can say who somebody is.

    key: in addresses, and in ``users.auth_provider``. title: as people know it. issuer: the address that it goes by.
    client_id, client_secret: by which it knows this site.
    """

    key: str
    title: str
    issuer: str
    client_id: str
    client_secret: str = field(repr=False)


def list_providers(settings: Mapping[str, Any]) -> list[Provider]:  # Any: each setting has its own type
    """Return the providers for which every setting is there."""
    titles = {GOOGLE: "Google", GITHUB: "GitHub", OIDC: settings["OIDC_NAME"]}
    issuers = {GOOGLE: GOOGLE_ISSUER, GITHUB: settings["GITHUB_URL"], OIDC: settings["OIDC_ISSUER"]}
    return [
        Provider(key, titles[key], issuers[key], settings[names[0]], settings[names[1]])
        for key, names in NEEDED.items()
        if all(settings[name] for name in names)
    ]


def find_provider(settings: Mapping[str, Any], key: str) -> Provider | None:  # Any: as above
    return next((each for each in list_providers(settings) if each.key == key), None)
