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
    {"reporting"},
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


@pytest.mark.parametrize("package", ["common", "params", "pictures", "videos", "sources", "index"])
def test_package_loads_without_torch(package: str) -> None:
    modules = [path.relative_to(LIBRARY.parent).with_suffix("") for path in (LIBRARY / package).rglob("*.py")]
    names = ", ".join(".".join(module.parts).removesuffix(".__init__") for module in modules)
    code = f"import sys, {names}; print(*({{'torch', 'torchvision', 'pytorch_lightning'}} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
