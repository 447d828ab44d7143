"""`deepfake-detect verify`: each thing that a case file rests on is named if it is not as it was."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.commands import command
from tests.support.credentials import authority
from tests.unit.serving.test_case import copied
from tests.unit.serving.test_case import place as place
from tests.unit.serving.test_cli import Run
from tests.unit.serving.test_cli import run as run

NAMESPACE, SIGNER = "deepfake-detect", "lab@example.org"
ODD = "a\\b\n.jpg"


def key_in(folder: Path, name: str = "key") -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    return folder / name


@pytest.fixture(scope="module")
def signed(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a signed case file, all that it rests on, and the file of allowed signers."""
    folder = tmp_path_factory.mktemp("signed")
    copied(place, folder)
    shutil.copy(place / "three.jpg", folder / ODD)
    key = key_in(folder)
    (folder / "allowed").write_text(f"{SIGNER} {key.with_suffix('.pub').read_text()}")
    words = ("--checkpoint", folder / "b0.pth", "--out", folder / "case.html", "--threshold", 0.3, "--sign", key)
    assert command("report", folder / "three.jpg", folder / ODD, *words) == 0
    return folder


@pytest.fixture
def case(signed: Path, tmp_path: Path) -> Path:
    """A copy in another place, to be changed."""
    return Path(shutil.copytree(signed, tmp_path / "moved")) / "case.html"


def change(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_an_intact_case_is_intact_wherever_it_is_and_for_other_programs_too(run: Run, case: Path) -> None:
    for named in (case, case.parent, case.with_suffix(".sha256")):
        done = run("verify", named, "--allowed-signers", case.with_name("allowed"))
        assert (done.status, done.err) == (0, "")
        states = [line.split()[0] for line in done.out.splitlines()]
        assert states == ["unchanged"] * 8 + ["good"]
        assert f": by {SIGNER}, ED25519 key SHA256:" in done.out
    folder, sums = case.parent, case.with_suffix(".sha256")
    checked = subprocess.run(["sha256sum", "-c", sums], cwd=folder, capture_output=True, text=True, check=True)
    assert checked.stdout.count(": OK") == 8
    words = ["ssh-keygen", "-Y", "verify", "-f", "allowed", "-I", SIGNER, "-n", NAMESPACE, "-s", f"{sums.name}.sig"]
    subprocess.run(words, cwd=folder, stdin=sums.open(), check=True)
    done = run("verify", case)
    assert (done.status, "unknown     signature" in done.out) == (0, True)


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("case.html", "page"),
        ("case.json", "data"),
        ("three.jpg", "exhibit"),
        (ODD, "exhibit"),
        ("b0.pth", "checkpoint"),
        ("b0.json", "sidecar"),
        ("b0.familiarity.safetensors", "familiarity"),
        ("b0.tested.json", "test results"),
    ],
)
def test_a_changed_byte_and_a_missing_file_are_named(run: Run, case: Path, name: str, role: str) -> None:
    path = case.with_name(name)
    change(path)
    done = run("verify", case, "--repeat") if role in ("checkpoint", "exhibit") else run("verify", case)
    assert (done.status, done.err.splitlines()[-1]) == (1, f"not as it was: {role}")
    shown = str(path).replace("\n", "?")
    named = next(line for line in done.out.splitlines() if not line.startswith("unchanged"))
    assert named == f"changed     {role:14}{shown}"
    assert ("not repeated" in done.err) == (role in ("checkpoint", "exhibit"))
    path.unlink()
    done = run("verify", case)
    assert (done.status, f"gone        {role:14}{shown}" in done.out) == (1, True)


def test_what_a_second_network_and_trust_anchors_are_is_no_exhibit(run: Run, place: Path, tmp_path: Path) -> None:
    copied(place, tmp_path)
    for path in list(tmp_path.glob("b0.*")):
        shutil.copy(path, tmp_path / path.name.replace("b0", "second"))
    (tmp_path / "anchors.txt").write_bytes(authority().root)
    words = ("--checkpoint", tmp_path / "b0.pth", "--checkpoint", tmp_path / "second.pth", "--out")
    also = ("--trust-anchors", tmp_path / "anchors.txt")
    assert command("report", tmp_path / "three.jpg", *words, tmp_path / "case.html", *also) == 0
    done = run("verify", tmp_path, "--repeat")
    assert (done.status, done.out.splitlines()[-1].partition(":")[0]) == (0, "repeated")
    roles = {Path(line[26:]).name: line[12:26].strip() for line in done.out.splitlines() if line[:9] == "unchanged"}
    assert roles.pop("three.jpg") == "exhibit"
    assert [roles.pop(name) for name in ("b0.pth", "b0.json")] == ["checkpoint", "sidecar"]
    assert {name for name, role in roles.items() if role == "also used"} >= {"second.pth", "second.json", "anchors.txt"}
    change(tmp_path / "second.pth")
    assert run("verify", tmp_path).err == "not as it was: also used\n"


def test_a_signature_that_is_changed_removed_or_another_s_is_named(run: Run, case: Path) -> None:
    allowed, signature = case.with_name("allowed"), case.with_suffix(".sha256.sig")
    change(signature)
    done = run("verify", case)
    assert (done.status, done.err) == (1, "not as it was: signature\n")
    assert "bad         signature" in done.out
    signature.unlink()
    assert run("verify", case).status == 0  # it never had one, for all that is known
    assert run("verify", case, "--allowed-signers", allowed).err == "not as it was: signature\n"
    other = key_in(case.parent, "other")
    sums = case.with_suffix(".sha256")
    subprocess.run(["ssh-keygen", "-Y", "sign", "-n", NAMESPACE, "-f", other, sums], check=True, capture_output=True)
    done = run("verify", case, "--allowed-signers", allowed)
    assert (done.status, f"whom {allowed} does not name" in done.out) == (1, True)
    lines = sums.read_text().splitlines(keepends=True)
    sums.write_text("".join(lines[1:]))  # without the page
    assert run("verify", case).err == "not as it was: page, signature\n"
    sums.write_text(f"{'0' * 64}  /dev/zero\n")  # has no end
    assert "gone        exhibit       /dev/zero" in run("verify", case).out
    sums.write_text("hello\n")
    assert "line 1 is not a SHA-256 sum and a name" in run("verify", case).err


@pytest.mark.slow
def test_the_examination_is_repeated_and_a_forged_number_is_named(run: Run, case: Path) -> None:
    done = run("verify", case, "--repeat")
    assert (done.status, done.out.splitlines()[-1]) == (
        0,
        "repeated: all verdicts are the same, and all numbers within 0.001",
    )
    data = case.with_suffix(".json")
    content = json.loads(data.read_text())
    found = content["files"][0]["prediction"]
    was, verdict = found["faces"][1]["logit"], found["verdict"]
    found["faces"][1]["logit"] += 0.01
    found["verdict"] = "none"
    data.write_text(json.dumps(content))
    done = run("verify", case, "--repeat")
    assert (done.status, done.err) == (1, "not as it was: data, result\n")
    assert done.out.splitlines()[-2:] == [
        f"differs: three.jpg, prediction, verdict: none in the case file, {verdict} now",
        f"differs: three.jpg, prediction, faces 2, logit: {was + 0.01:.4g} in the case file, {was:.4g} now",
    ]
    data.write_text("{}")
    assert "case.json: not the data of a case file with 2 files" in run("verify", case, "--repeat").err


def test_a_key_that_cannot_sign_is_one_line_and_the_case_file_is_kept(
    run: Run, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("no key\n")
    words = ("report", place / "three.jpg", "--checkpoint", place / "b0.pth", "--out", tmp_path / "case.html")
    done = run(*words, "--sign", wrong)
    assert done.status == 1
    assert done.err.splitlines()[-1].startswith(f"error: --sign {wrong}: the case file is there and not signed: ")
    assert run("verify", tmp_path).status == 0
    assert f"--sign {tmp_path / 'gone'}: no such file" in run(*words, "--sign", tmp_path / "gone", "--force").err
    monkeypatch.setenv("PATH", os.devnull)
    assert "--sign: ssh-keygen is not there" in run(*words, "--sign", wrong, "--force").err
