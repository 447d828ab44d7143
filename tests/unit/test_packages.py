"""The packages of the library: imports point one way, and what handles files and tables loads without torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.modules import LIBRARY, imported_files

# A package may import those in rows above its own, and itself. See docs/architecture.md.
ROWS = (
    {"common"},
    {"params", "pictures"},
    {"videos"},
    {"sources"},
    {"index"},
    {"frames"},
    {"network"},
    {"training", "inference"},
    {"evaluation"},
    {"reporting", "importing"},
    {"serving"},
)
ROW = {package: row for row, packages in enumerate(ROWS) for package in packages}
MODULES = sorted(path for path in LIBRARY.rglob("*.py") if path.parent != LIBRARY)


def package_of(path: Path) -> str:
    return path.relative_to(LIBRARY).parts[0]


def test_every_module_is_in_a_package_of_the_list() -> None:
    assert [path.name for path in LIBRARY.glob("*.py")] == ["__init__.py"]
    assert {package_of(path) for path in MODULES} == set(ROW)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(LIBRARY).as_posix())
def test_imports_point_to_earlier_packages(path: Path) -> None:
    own = package_of(path)
    imported = {package_of(file) for file in imported_files(path) if file.parent != LIBRARY and LIBRARY in file.parents}
    wrong = {package for package in imported if package != own and ROW[package] >= ROW[own]}
    assert not wrong, f"{own} must not import {', '.join(sorted(wrong))}"


@pytest.mark.parametrize("path", [*LIBRARY.rglob("__init__.py")], ids=lambda path: path.parent.name)
def test_every_package_says_in_three_lines_what_it_is(path: Path) -> None:
    if path.parent == LIBRARY:
        return
    (docstring,) = ast.parse(path.read_text()).body  # and nothing else: a package loads none of its modules
    assert isinstance(docstring, ast.Expr)
    assert len(path.read_text().splitlines()) == 3


def test_packages_before_frames_load_without_torch() -> None:
    light = {package for packages in ROWS[: ROWS.index({"frames"})] for package in packages}
    modules = [path.relative_to(LIBRARY.parent).with_suffix("").parts for path in MODULES if package_of(path) in light]
    for_each = "for name in sys.argv[1:]: importlib.import_module(name); heavy & sys.modules.keys() and sys.exit(name)"
    code = f"import importlib, sys\nheavy = {{'torch', 'torchvision', 'pytorch_lightning'}}\n{for_each}"
    names = [".".join(parts).removesuffix(".__init__") for parts in modules]
    done = subprocess.run([sys.executable, "-c", code, *names], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
