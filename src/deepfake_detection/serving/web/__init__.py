"""`deepfake-detect serve`: server.py answers browsers with the page and programs with JSON (api.py), uploads.py takes
files, workers.py holds the networks, in processes that may be killed, download.py makes case files there, and
connections.py closes what is silent. Words are of serving.words, pictures of serving.view, pages of templates/."""
