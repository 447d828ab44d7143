"""`deepfake-detect serve`: server.py answers browsers with the page and programs with JSON (api.py), uploads.py takes
files, connections.py closes what is silent, workers.py holds the networks, in processes that may be killed, download.py
makes case files. Words are those of serving.words, pictures those of serving.view, the layout is in templates/."""
