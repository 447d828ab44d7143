"""Turns files into pixels: images, frames of videos, and the faces in them.
You may add a format or a detector; index, prepare and predict must share this code to see the same pixels.
The packages index, frames, reporting and serving call it."""
