"""Finds the project's own modules and what they import. It reads the source without running it."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "src" / "deepfake_detection"


def module_file(name: str) -> Path | None:
    """The file of one of the project's modules or packages, or None for any other name."""
    for base in (ROOT, ROOT / "src"):
        stem = base / Path(*name.split("."))
        for path in (stem / "__init__.py", stem.with_suffix(".py")):
            if path.is_file():
                return path
    return None


def imported_files(path: Path) -> Iterator[Path]:
    """Yields the project's files that a file imports, also inside functions, and those of the packages around them.

    Imports that are only for the type checker are left out.
    """
    tree = ast.parse(path.read_text())
    for_types = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        names: list[str] = []
        if node in for_types:
            continue
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.module, f"{path}: relative import"
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            parts = name.split(".")
            for end in range(len(parts)):
                if file := module_file(".".join(parts[: end + 1])):
                    yield file
