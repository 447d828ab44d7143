"""Tables about frames: which are usable, where their faces are, which split they belong to, and what leaks.
Add a column in tables.py; the names of columns are contracts with other tools.
The stages index and split call it; later packages read its tables."""
