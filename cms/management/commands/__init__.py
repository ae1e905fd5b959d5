"""One file per command; the list of this folder is `manage.py --help`."""
