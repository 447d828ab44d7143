"""The folders that data sets come in, read in place: each module turns one layout into a table of frames and videos.
Add a layout as a module with LOOKS_FOR, recognise and read, and name it in detect.py; nothing here opens a picture.
The download stage calls detect.py."""
