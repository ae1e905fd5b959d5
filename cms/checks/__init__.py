"""Checks: functions that look at one thing and return problems; they never raise and never repair.

Source: Django's system check framework, for ids, levels, tags and hints.
"""
