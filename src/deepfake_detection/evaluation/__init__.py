"""Numbers about a trained network: metrics, their intervals, calibration, and how metrics fall under corruption.
Add a metric in both metrics.py and bootstrap.py; a test checks that the two agree.
The stages train, evaluate, robustness, plot and report call it."""
