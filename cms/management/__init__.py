"""The management commands: `python manage.py <command>`; one file per command in commands/."""
