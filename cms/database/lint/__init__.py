"""What would hurt about a revision, found by reading its file, running it in a scratch place, and asking squawk.

`source` reads the file, `trial` runs it, `statements` and `shapes` judge what ran, `squawk` asks the linter of that
name, `acceptance` reads what the author accepted, `report` puts it together.
"""
