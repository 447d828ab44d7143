"""`deepfake-detect serve`: server.py answers browsers with the page and api.py programs with JSON; uploads.py takes the
file, and workers.py holds the networks, in processes that may be killed. The page's words are those of serving.words,
its pictures those of serving.view, and its layout is in serving/templates/."""
