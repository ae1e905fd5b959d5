# One image serves the site and runs its commands: docker run --env-file .env cms python manage.py check

# Python 3.13 is the newest that CI tests; Debian 13 is the stable release whose PostgreSQL tools fit compose.yaml's
# server: pg_dump refuses a server newer than itself, and a newer pg_restore sends settings that an older server does
# not know, so both are 17. For a server of another version change both lines.
ARG BASE=python:3.13-slim-trixie

FROM ${BASE} AS builder
RUN python -m venv /opt/venv
COPY requirements.txt .
# Wheels only: what has to be compiled would need tools, and runs its authors' code while it is built.
RUN /opt/venv/bin/pip install --no-cache-dir --no-compile --disable-pip-version-check \
        --require-hashes --only-binary :all: -r requirements.txt
WORKDIR /app
COPY . .
# The site's user may not write here, so without this every start would compile all modules anew.
RUN /opt/venv/bin/python -m compileall -q -j 0 /opt/venv/lib /app

FROM ${BASE}
ARG PG_MAJOR=17
RUN apt-get update \
    && apt-get install -y --no-install-recommends postgresql-client-${PG_MAJOR} \
    && rm -rf /var/lib/apt/lists/*
RUN groupadd --gid 5678 cms \
    && useradd --uid 5678 --gid 5678 --home-dir /app/instance --no-create-home --shell /usr/sbin/nologin cms \
    && install -d -o cms -g cms -m 0750 /app/instance /app/instance/media /backups
COPY --from=builder /opt/venv /opt/venv
COPY --from=builder /app /app
WORKDIR /app

# No secret and no address of this site: these come when it is started.
ENV PATH="/opt/venv/bin:$PATH" \
    PYTHONUNBUFFERED=1 \
    CMS_ENV=production \
    WEB_BIND=0.0.0.0:8000 \
    BACKUP_DIR=/backups
# instance: the SQLite database, if that is used, and the media. Backups lie apart, so that they can be on another disk.
VOLUME ["/app/instance", "/backups"]
EXPOSE 8000
USER 5678:5678

# It asks under a name that the site answers to. The first answer comes after the migration, which may take its time.
HEALTHCHECK --interval=30s --timeout=5s --start-period=15m --start-interval=2s --retries=3 \
    CMD ["python", "-c", "from urllib.request import Request, urlopen; from config import load_config; urlopen(Request('http://127.0.0.1:8000/readyz', headers={'Host': load_config().TRUSTED_HOSTS[0].lstrip('.')}), timeout=4)"]
ENTRYPOINT ["/app/docker-entrypoint.sh"]
