"""The database as a whole: what it is, where its history stands, how it is backed up, upgraded and restored.

Operations come in pairs: ``plan_x`` reads and returns frozen data, ``apply_x`` writes. No Flask, no click, no feature.
"""
