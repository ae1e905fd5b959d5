"""A blog CMS whose database can be checked, backed up, adopted, upgraded and restored without fear."""
