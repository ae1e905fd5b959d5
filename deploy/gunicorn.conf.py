"""How gunicorn serves the site: ``gunicorn -c deploy/gunicorn.conf.py``, in the project's folder.

The names are gunicorn's settings; what is missing stays at gunicorn's default. What an operator chooses comes from
config.py, and an option on gunicorn's command line wins over both.
"""  # noqa: INP001 - a file that gunicorn reads, not a module

from __future__ import annotations

import os
import sys
from typing import Any

from cms.errors import CmsError
from config import Config, load_config

MEMORY_FOLDER = "/dev/shm"  # noqa: S108 - gunicorn's files there have no name
APP_LOAD_ERROR = 4  # gunicorn's own status for this, and wsgi.py's


def get_settings() -> Config:
    """Read the settings, or end with what is wrong with them; left alone, gunicorn would show a traceback."""
    try:
        return load_config()
    except CmsError as error:
        sys.stderr.write(f"error: {error}\n")
        raise SystemExit(APP_LOAD_ERROR) from None


settings = get_settings()

wsgi_app = "wsgi:app"
bind = settings.WEB_BIND
workers = settings.WEB_WORKERS
worker_class = "gthread"  # 2 processes of 4 threads served a third more pages per second than 2 of one thread
threads = settings.WEB_THREADS

# preload_app stays off, and --preload turns it on: half the time to the first answer, 17 of 99 MB less. Without it,
# the port is open while workers import, so that a restart is a short wait, not a refusal, and SIGHUP takes new code.

# A proxy keeps connections for the next visitor's request and must be the one that closes them (deploy/nginx.conf:
# after 60 s), or a request meets a connection that has just gone. Browsers without a proxy open connections that they
# may never use, and a stopping server waits for these.
keepalive = 75 if settings.TRUSTED_PROXIES else 5

# SIGTERM: running requests have this long to finish. Whoever sends it must wait longer (compose.yaml: 40 s).
graceful_timeout = 30

# The heartbeat of a worker is a file's time, which a slow disk can hold up for longer than the timeout.
if os.access(MEMORY_FOLDER, os.W_OK):
    worker_tmp_dir = MEMORY_FOLDER

# A socket through which workers can be stopped, on by default, at one path for all of a user's servers: a second one
# takes it away from the first.
control_socket_disable = True

# Nobody's X-Forwarded-* is believed here. The application does that, as it counts the proxies (TRUSTED_PROXIES);
# gunicorn would ask for addresses, and believe whoever comes through a socket file.
forwarded_allow_ips = ""
secure_scheme_headers: dict[str, str] = {}
forwarder_headers = ""

limit_request_line = 4094
limit_request_fields = 64
limit_request_field_size = 8190

accesslog = None  # the proxy writes one; --access-logfile - turns it on


def post_fork(_server: Any, worker: Any) -> None:  # Any: gunicorn ships no types
    """Forget the database connections that were opened before the fork, without closing them.

    With --preload the application exists before its workers do. A connection that two of them use gave one a wrong
    answer and the other an error. Closing it would say goodbye to the server in the parent's name, so it is only
    dropped: close=False.
    """
    application = worker.app.callable  # None if it was not preloaded: this worker then makes its own
    if "sqlalchemy" not in getattr(application, "extensions", ()):
        return
    from cms.extensions import db  # noqa: PLC0415 - else the parent would hold the application's modules

    with application.app_context():
        for engine in db.engines.values():
            engine.dispose(close=False)
