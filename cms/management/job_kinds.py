"""Every kind of job that the site knows."""

from __future__ import annotations


def load_job_kinds() -> None:
    """Import each feature's ``jobs.py``, which registers its kinds. Pages store jobs without knowing how to do them."""
    from cms.accounts import jobs as _accounts  # noqa: F401, PLC0415
    from cms.activity import jobs as _activity  # noqa: F401, PLC0415
    from cms.api import pruning as _api  # noqa: F401, PLC0415
    from cms.blogs import jobs as _blogs  # noqa: F401, PLC0415
    from cms.mail import jobs as _mail  # noqa: F401, PLC0415
