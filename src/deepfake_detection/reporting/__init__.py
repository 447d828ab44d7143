"""Figures, the HTML report and the model card, made from files that other stages wrote; the leaderboard of detectors.
Change here how results look; nothing in this package computes a result.
The stages plot and report call it; serving also uses html.py."""
