"""Numbers about a trained network: metrics, their intervals, calibration, and how metrics fall under corruption.
Add a metric in bootstrap.py, a corruption in corruptions.py.
The stages calibrate, evaluate, adapt, robustness, plot and report call it."""
