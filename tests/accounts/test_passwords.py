"""Which passwords may be chosen."""

from __future__ import annotations

import pytest

from cms.accounts.passwords import is_common


@pytest.mark.parametrize(
    "password",
    [
        "password", "Password1!", "P@ssw0rd", "passw0rd2026", "qwerty123", "12345678", "87654321", "letmein!!",
        "aaaaaaaa", "abcabcabc", "iloveyou1", "asdfghjkl", "Dragon99", "        ", "11111111", "ada.byron",
        "Ada.Byron1815", "ada@example.org",
        "1qaz2wsx", "Mercedes", "El3phant!!", "rush2112", "marlboro99",
    ],
)  # fmt: skip
def test_what_everybody_tries_first_is_known(password: str):
    assert is_common(password, "ada.byron", "ada@example.org")


@pytest.mark.parametrize("password", ["a lamp on a mast", "dragonfly over water", "zX9-kk2_pQ", "東京は雨です。傘"])
def test_other_passwords_may_be_chosen_whatever_they_are_made_of(password: str):
    assert not is_common(password, "ada", "ada@example.org")
