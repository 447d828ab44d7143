"""What every package uses: user errors, safe writing of files, multiprocessing, progress, formatting of text.
You may freely change wording and numbers of processes; a change to files.py can change every output.
Every package calls it; it imports nothing else from the project."""
