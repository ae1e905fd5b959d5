#!/bin/sh
# Brings the database to the newest revision, after a backup, and serves the site. MIGRATE_ON_START=off only serves.
# With arguments it becomes that program instead: `gunicorn …` with the migration before it, anything else (such as
# `python manage.py check`) without, as whoever looks at a database does not ask for changing it.
set -eu
cd "$(dirname "$0")"

# A shell neither passes a signal on nor, as a container's first process, ends by it: the migration would be killed
# in the middle when the container's time to stop is over. So it is started beside the shell and told to stop itself.
migrate() {
    migration='' stopped=''
    trap 'stopped=yes; [ -z "$migration" ] || kill -TERM "$migration" 2>/dev/null || :' TERM INT HUP
    python manage.py backup-and-migrate &
    migration=$!
    status=0
    wait "$migration" || status=$?
    if [ -n "$stopped" ]; then
        kill -TERM "$migration" 2>/dev/null || :
        wait "$migration" || :
        exit 143
    fi
    trap - TERM INT HUP
    [ "$status" -eq 0 ] || exit "$status"
}

[ $# -gt 0 ] || set -- gunicorn -c deploy/gunicorn.conf.py wsgi:app
if [ "$1" = gunicorn ] && [ "${MIGRATE_ON_START:-on}" != off ]; then
    migrate
fi
exec "$@"
