"""Uses a trained network on your own pictures and videos: Detector, command line, heat maps, exports, web page.
Add a command in cli.py; no stage depends on this package, so a change here reruns nothing.
Users call it from Python, from the command deepfake-detect or from a browser."""
