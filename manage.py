#!/usr/bin/env python3
"""`python manage.py <command>`: everything an operator does with the site."""

from cms.management.base import main

if __name__ == "__main__":
    main()
