"""Videos: their packets, and frames taken evenly over their time.
What FFmpeg must be kept from is in packets.py.
Index, frames and serving build on it."""
