"""Makes a miniature: ``python -m tests.support.miniatures celebdf FOLDER``."""

import sys
from importlib import import_module
from pathlib import Path

if __name__ == "__main__":
    layout, folder = sys.argv[1:]
    import_module(f"tests.support.miniatures.{layout}").make(Path(folder))
