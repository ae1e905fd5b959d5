"""What people type about themselves, checked field by field. Whether it can be stored, the services say."""

from __future__ import annotations

from wtforms import Form, PasswordField, StringField
from wtforms.validators import InputRequired, Length

from cms.accounts.services import EMAIL_LIMIT, PASSWORD_LONGEST

NEEDED = InputRequired("This is needed.")
PASSWORD_AS_TYPED = {"maxlength": PASSWORD_LONGEST, "autocomplete": "current-password"}


class SignInForm(Form):
    """Name and password."""

    login = StringField(
        "Username or e-mail address",
        [NEEDED, Length(max=EMAIL_LIMIT)],
        render_kw={"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false"},
    )
    password = PasswordField("Password", [NEEDED, Length(max=PASSWORD_LONGEST)], render_kw=PASSWORD_AS_TYPED)


class ConfirmForm(Form):
    """The password again, of whoever is signed in."""

    password = PasswordField("Password", [NEEDED, Length(max=PASSWORD_LONGEST)], render_kw=PASSWORD_AS_TYPED)
