"""The first page of the administration: what there is to do for whoever asks."""

from __future__ import annotations

from flask import Blueprint, Response

from cms.accounts.current import needs
from cms.admin.frame import menu_entry, show_admin

ENTRIES = (menu_entry("Overview", "/admin/", "admin.see", about=""),)
pages = Blueprint("admin", __name__, url_prefix="/admin", template_folder="templates")


@pages.get("/")
@needs("admin.see")
def show_home() -> Response:
    return show_admin("admin/home.html")
