"""What can be wrong with a job."""

from __future__ import annotations

from cms.errors import CmsError


class JobInvalid(CmsError):
    """What should be stored as a job cannot be; the use case that wanted it is rolled back."""


class JobUnknown(CmsError):
    """There is no such job; nothing was changed."""


class JobHopeless(CmsError):
    """Trying again would not help; a job raises it to fail at once."""


class QueueUnreachable(CmsError):
    """The place that JOBS_URL names does not answer; jobs stay stored and wait."""


class JobPaused(Exception):
    """The worker is stopping; the job goes back and begins anew later. No attempt is counted."""
