"""Pictures: what a file is, reading it safely, and the faces in it.
A new format is read in images.py and recognised in kinds.py.
Sources, index, frames and serving build on it."""
