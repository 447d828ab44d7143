"""Where things lie in data/raw (the layout of the Kaggle data set), and what the sides of the split are called."""

FRAMES = "FF++C32-Frames"  # FRAMES/<Category>/005_f4.jpg or 005_010_f4.jpg (target_source)
LISTS = "CSVs"  # LISTS/<Category>.csv with columns filename, label
OFFICIAL = "splits"  # OFFICIAL/{train,val,test}.json, the authors' lists, where the split strategy wants them
SPLITS = ("train", "val", "test")
