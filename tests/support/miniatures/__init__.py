"""Miniatures of the folder trees that data sets come in, with drawn pictures and videos: a module for each layout."""
