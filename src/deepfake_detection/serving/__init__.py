"""A trained network for pictures and videos of your own: the Detector, its command, heat maps, exports, the web page.
Add a command in cli.py; no stage depends on this package, so a change here reruns nothing.
Users call it: from Python, from the command deepfake-detect, from a browser."""
