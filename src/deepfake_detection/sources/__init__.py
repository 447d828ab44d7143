"""Where frames and weights come from: Kaggle, a folder, drawn faces, the official split lists, ImageNet weights.
Add a source as a module that fills data/raw in the layout of layout.py; only this package may use the internet.
The download stage calls it; later packages use layout.py for names."""
