"""requirements.lock holds what pyproject.toml asks for: exact versions, hashes, no address."""

import re
import tomllib
from itertools import chain
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / "requirements.lock").read_text()
ENTRIES = re.findall(r"^(\S+)==(\S+)(?: ; (.+?))? \\\n((?:    --hash=\S+(?: \\)?\n)+)", LOCK, re.MULTILINE)


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
REQUIREMENTS = [
    Requirement(line) for line in [*PROJECT["dependencies"], *chain(*PROJECT["optional-dependencies"].values())]
]


def test_every_dependency_is_locked_at_a_version_it_admits() -> None:
    for requirement in REQUIREMENTS:
        versions = [version for name, version, *_ in ENTRIES if name == canonicalize_name(requirement.name)]
        assert versions, f"{requirement.name} is not in requirements.lock: run make lock"
        assert all(requirement.specifier.contains(version) for version in versions), requirement


def test_every_entry_has_hashes_and_no_address() -> None:
    assert len(ENTRIES) == len(re.findall(r"^[a-z0-9]", LOCK, re.MULTILINE)) > 50
    assert all("--hash=sha256:" in hashes for *_, hashes in ENTRIES)
    assert "://" not in LOCK


def test_a_page_gives_a_reason_for_every_dependency() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    for requirement in REQUIREMENTS:
        assert f"`{requirement.name}`" in page, requirement.name
