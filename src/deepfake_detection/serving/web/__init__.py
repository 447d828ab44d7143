"""The web page of `deepfake-detect serve`: server.py answers requests, view.py prepares the values for templates/.
Change wording and layout in view.py and templates/; view.py judges in a separate process, which may be killed.
The command deepfake-detect serve calls it."""
