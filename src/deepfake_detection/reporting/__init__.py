"""Figures, the HTML report and the model card, made from files that other stages wrote.
Change how results look here; nothing in this package computes a result.
The stages plot and report call it; serving shares html.py."""
