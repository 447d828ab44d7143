"""`deepfake-detect serve`: server.py answers browsers with the page and programs with JSON (api.py), uploads.py takes
files, connections.py closes what is silent, workers.py holds the networks, in processes that may be killed, and
download.py makes case files there. Words are those of serving.words, pictures those of serving.view, and the layout is
in serving/templates/."""
