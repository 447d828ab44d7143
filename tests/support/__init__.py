"""Helpers of the tests: parameters, checkpoints, servers, disks, permissions, a browser."""
