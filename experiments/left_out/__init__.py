"""Trains on all manipulations but one, and tests on each: what carries over to a manipulation that was never seen."""
