"""Trees of empty files, for what only looks at names."""

import json
from pathlib import Path
from typing import Any


def touch(folder: Path, *paths: str) -> None:
    """Makes empty files at paths below a folder."""
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).touch()


def write(folder: Path, path: str, content: Any) -> None:
    """Makes a text file, or a JSON file of anything that is not text."""
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / path).write_text(text, encoding="utf-8", newline="")
