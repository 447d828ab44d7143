"""Helpers for the tests: parameters, checkpoints, servers, disks, permissions, a browser."""
