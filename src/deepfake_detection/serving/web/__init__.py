"""The page of `deepfake-detect serve`: server.py answers requests, view.py fills the page, templates/ hold it.
Change words and layout in view.py and templates/; view.py runs in a process of its own, which may be killed.
The command deepfake-detect serve calls it."""
