"""The embedded data set: drawn people, the manipulations of their faces, and the videos made from them.
Any change to a drawing changes every committed number; never add a picture of a real person.
The download stage calls dataset.py; export draws frames to compare runtimes."""
