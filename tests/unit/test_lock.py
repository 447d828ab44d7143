"""requirements.lock holds what pyproject.toml asks for: exact versions, hashes, no address."""

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / "requirements.lock").read_text()
ENTRIES = re.findall(r"^(\S+)==(\S+)(?: ; (.+?))? \\\n((?:    --hash=\S+(?: \\)?\n)+)", LOCK, re.MULTILINE)


def test_every_dependency_is_locked_at_a_version_it_admits() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    for requirement in map(Requirement, wanted):
        versions = [version for name, version, *_ in ENTRIES if name == canonicalize_name(requirement.name)]
        assert versions, f"{requirement.name} is not in requirements.lock: run make lock"
        assert all(requirement.specifier.contains(version) for version in versions), requirement


def test_every_entry_has_hashes_and_no_address() -> None:
    assert len(ENTRIES) == len(re.findall(r"^[a-z0-9]", LOCK, re.MULTILINE)) > 50
    assert all("--hash=sha256:" in hashes for *_, hashes in ENTRIES)
    assert "://" not in LOCK


def test_lightning_is_none_of_the_malicious_releases() -> None:
    (version,) = [version for name, version, *_ in ENTRIES if name == "pytorch-lightning"]
    assert tuple(map(int, version.split("."))) >= (2, 6, 4)


def test_readme_gives_a_reason_for_every_dependency() -> None:
    readme = (ROOT / "README.md").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for requirement in map(Requirement, [*project["dependencies"], *project["optional-dependencies"]["dev"]]):
        assert f"`{requirement.name}`" in readme, requirement.name
