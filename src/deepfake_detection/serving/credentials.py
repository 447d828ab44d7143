"""Checks Content Credentials (C2PA): who signed a file, whether the signature holds, and what the signer claims.

Nobody is asked: no manifest is fetched, and no certificate is looked up. A file may be hostile, and what reads it is
native code, so this module also runs as a program: in a process of its own, with limits on time and memory.
"""

import hashlib
import json
import mmap
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.text import one_line, printable

try:
    import resource
except ImportError:  # on Windows, where memory is not limited
    resource = None  # type: ignore[assignment]

Status = Literal["trusted", "unknown signer", "invalid", "elsewhere", "unread", "unchecked"]

SECONDS = 20  # for the manifest; a large file has a second more for each 50 MB, because all of it is hashed
MEMORY = 10**9  # bytes
LONGEST = 200  # characters of what a file says of itself
MOST = 50  # actions, ingredients and failures that are listed
SETTINGS = {
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
    "core": {"allowed_network_hosts": []},  # none, whatever a manifest asks for
}
NOT_INSTALLED = "is not installed; run make env, or pip install c2pa-python"
UNTRUSTED, TRUSTED = "signingCredential.untrusted", "signingCredential.trusted"
STAMPED = "timeStamp.trusted"
# of the last part of a digitalSourceType (IPTC)
MODEL_CLAIMS = {
    "trainedAlgorithmicMedia": "made by a model",
    "compositeWithTrainedAlgorithmicMedia": "made in part by a model",
    "algorithmicMedia": "made by an algorithm",
}
FAILURES = {
    **dict.fromkeys(
        ("assertion.dataHash.mismatch", "assertion.bmffHash.mismatch", "assertion.boxesHash.mismatch"),
        "the file was changed after it was signed",
    ),
    "assertion.hashedURI.mismatch": "a claim was changed after it was signed",
    "claimSignature.mismatch": "the signature is wrong",
    "signingCredential.expired": "the signer's certificate has expired, and no trusted time stamp is older",
    "signingCredential.invalid": "the signer's certificate cannot be used",
}


@dataclass(frozen=True)
class Ingredient:
    """What a file was made from. ``status`` is that of its own credentials; "none" if it has none.

    ``source_types`` are those that its manifest claims, and the manifests of what it was made from.
    """

    title: str
    relationship: str
    status: Literal["trusted", "unknown signer", "invalid", "none"]
    source_types: tuple[str, ...] = ()


@dataclass(frozen=True)
class Credentials:
    """What the Content Credentials of a file claim, and ``status``, what the claims are worth.

    "trusted": the signature holds, and the signer's certificate leads to one of the trust anchors. "unknown signer": it
    holds, but the certificate does not. "invalid": it does not hold; ``failures`` has the codes of the C2PA
    specification. "elsewhere": the manifest is at another place and was not fetched. "unread": it cannot be read.
    "unchecked": the extra ``credentials`` is not installed. ``said`` is all of this in one line.

    ``model_claim`` is what a valid signature says of a model, such as "made by a model", or empty. ``time`` is that of
    a time stamp whose authority is trusted too, or empty. ``source_types`` and ``actions`` are of the file itself, not
    of its ingredients. ``anchors_sha256`` is the SHA-256 of the file of trust anchors, or None if no file was named.
    """

    status: Status
    said: str
    model_claim: str = ""
    signer: str = ""
    generator: str = ""
    time: str = ""
    source_types: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    ingredients: tuple[Ingredient, ...] = ()
    failures: tuple[str, ...] = ()
    anchors_sha256: str | None = None


@dataclass(frozen=True)
class Anchors:
    """The certificates (PEM) that a signer's certificate must lead to, and the name and the SHA-256 of their file."""

    pem: str
    name: str
    sha256: str


def read_anchors(path: Path) -> Anchors:
    """The trust anchors in a file of PEM certificates. Raises UserError if it has none or one is damaged."""
    if not find_spec("c2pa"):
        raise UserError(f"--trust-anchors: c2pa-python {NOT_INSTALLED}")
    from cryptography.x509 import load_pem_x509_certificates

    content = path.read_bytes()
    try:
        load_pem_x509_certificates(content)
        return Anchors(content.decode(), path.name, hashlib.sha256(content).hexdigest())
    except ValueError:
        raise UserError(f"--trust-anchors {path}: no certificates that can be read; it must be PEM") from None


def credentials_of(path: Path, anchors: Anchors | None = None) -> Credentials | None:
    """The Content Credentials of a file, or None if there is no trace of any. Raises OSError if it cannot be opened.

    The whole file is searched for traces. If there are some, a process reads it, see SECONDS and MEMORY.
    """
    if not _has_traces(path):
        return None
    if not find_spec("c2pa"):
        return Credentials("unchecked", f"there; not checked: c2pa-python {NOT_INSTALLED}")
    found = _read_apart(path, anchors)
    from pydantic import TypeAdapter  # which the process apart does without

    return TypeAdapter(Credentials).validate_python(
        found | {"said": _said(found), "anchors_sha256": anchors and anchors.sha256}
    )


def credential_fields(path: Path, anchors: Anchors | None = None) -> dict[str, Any]:
    """The Content Credentials of a file as `predict --json` prints them. Raises OSError like ``credentials_of``."""
    found = credentials_of(path, anchors)
    return {"credentials": found and asdict(found)}


def short(claim: object) -> str:
    """What a file says of itself, on one line and cut to LONGEST characters; empty for None."""
    words = printable(str("" if claim is None else claim).strip("\0 "), " ")
    return words if len(words) <= LONGEST else words[: LONGEST - 3] + "..."


def _has_traces(path: Path) -> bool:
    """Whether a JUMBF box is named c2pa, in any container, or XMP says where a manifest is."""
    if not path.stat().st_size:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if content.find(b"jumd") >= 0 and content.find(b"c2pa\0") >= 0:
            return True
        at = content.find(b"dcterms:provenance")
        return at >= 0 and bool(re.search(rb"https?:|self#jumbf", content[at : at + 40]))


def _said(found: dict[str, Any]) -> str:
    reason = found.pop("reason", "")
    match found["status"]:
        case "elsewhere":
            return f"kept elsewhere, not fetched: {reason}"
        case "unread":
            return f"cannot be read: {reason}"
        case "invalid":
            code = found["failures"][0]
            return f"invalid: {FAILURES.get(code, 'a check failed')} ({code}). What they claim is worth nothing"
    name = found["signer"] or "nobody named"
    known = f"signed by {name}, whom the trust anchors vouch for"
    unknown = f"signed by somebody not known here, by the name of {name}"
    claim = f". The signer says: {found['model_claim']}. The score does not count this" if found["model_claim"] else ""
    return f"valid, {known if found['status'] == 'trusted' else unknown}{claim}"


def _read_apart(path: Path, anchors: Anchors | None) -> dict[str, Any]:
    """What ``_read`` finds in a process of its own."""
    seconds = SECONDS + path.stat().st_size // (50 * 10**6)
    # -P: no module of the folder in which the command was started, which may hold anything
    command = [sys.executable, "-P", "-m", __name__, str(path), str(seconds), str(MEMORY)]
    try:
        done = subprocess.run(  # noqa: S603  no shell
            command, input=anchors.pem.encode() if anchors else b"", capture_output=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return _unread(f"it takes longer than {seconds} seconds")
    if done.returncode:
        return _unread("what reads it broke off, perhaps for lack of memory")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _unread(reason: str) -> dict[str, Any]:
    return {"status": "unread", "reason": short(reason)}


def main() -> None:
    """Prints what ``_read`` finds in a file, with the trust anchors from standard input, as JSON."""
    path, seconds, memory = sys.argv[1:]
    if resource:
        signal.alarm(int(float(seconds)) + 1)  # if whoever waits for it was killed
        _, most = resource.getrlimit(resource.RLIMIT_DATA)
        limit = int(memory) if most == resource.RLIM_INFINITY else min(int(memory), most)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    print(json.dumps(_read(path, sys.stdin.buffer.read().decode())))


def _read(path: str, anchors: str) -> dict[str, Any]:
    import c2pa

    settings: dict[str, Any] = SETTINGS | ({"trust": {"user_anchors": anchors}} if anchors else {})
    try:
        with (
            Path(path).open("rb") as file,
            c2pa.Context.from_dict(settings) as context,
            c2pa.Reader(None, file, context=context) as reader,
        ):
            return _claims(json.loads(reader.json()))
    except c2pa.C2paError.ManifestNotFound:
        return _unread("there are traces of a manifest, and no manifest")
    except c2pa.C2paError as error:
        words = one_line(error)
        if words.startswith("Remote: "):
            return {"status": "elsewhere", "reason": short(words.rpartition(" ")[2])}
        return _unread(words.partition(": ")[2])
    except (AttributeError, KeyError, TypeError, ValueError):
        return _unread("its claims are not as the specification says")


def _claims(store: dict[str, Any]) -> dict[str, Any]:
    manifests, results = store["manifests"], store["validation_results"]
    active = manifests[store["active_manifest"]]
    # of the ingredients, and of theirs: what differs from what was found when they were added
    deltas = {each["ingredientAssertionURI"]: each["validationDeltas"] for each in results.get("ingredientDeltas", [])}
    own = f"self#jumbf=/c2pa/{store['active_manifest']}/c2pa.assertions/"
    failed = [code for each in (results["activeManifest"], *deltas.values()) for code in _codes(each, "failure")]
    failures = [short(code) for code in dict.fromkeys(failed) if code != UNTRUSTED]
    state = store["validation_state"]
    status = "trusted" if state == "Trusted" else "unknown signer" if state == "Valid" else "invalid"
    ingredients = [
        {
            "title": short(each.get("title")),
            "relationship": short(each.get("relationship")),
            "status": _status_of(each, deltas.get(own + each["label"], {})),
            "source_types": list(dict.fromkeys(_source_types(each.get("active_manifest"), manifests)))[:MOST],
        }
        for each in active.get("ingredients", [])[:MOST]
    ]
    actions = list(_actions(active))
    types = list(dict.fromkeys(_kinds(actions)))[:MOST]
    claims = [MODEL_CLAIMS[each] for each in types if each in MODEL_CLAIMS]
    claims += [
        f"made from what was {MODEL_CLAIMS[kind]}"
        for each in ingredients
        if each["status"] in ("trusted", "unknown signer")
        for kind in each["source_types"]
        if kind in MODEL_CLAIMS
    ]
    signature = active.get("signature_info", {})
    names = [short(signature.get(name)) for name in ("common_name", "issuer")]
    generators = active.get("claim_generator_info") or [active.get("claim_generator")]
    return {
        "status": status,
        "model_claim": claims[0] if claims and status != "invalid" else "",
        "signer": " of ".join(dict.fromkeys(filter(None, names))),
        "generator": _program(generators[0]),
        "time": short(signature.get("time")) if STAMPED in _codes(results["activeManifest"], "success") else "",
        "source_types": types,
        "actions": [_in_words(each) for each in actions[:MOST]],
        "ingredients": ingredients,
        "failures": failures[:MOST] or ["not said"] * (status == "invalid"),
    }


def _codes(results: dict[str, Any], kind: str) -> list[str]:
    return [each["code"] for each in results.get(kind, [])]


def _status_of(ingredient: dict[str, Any], now: dict[str, Any]) -> str:
    """The status of an ingredient: what was found when it was added, as changed by what is found ``now``."""
    if not ingredient.get("active_manifest"):
        return "none"
    then = ingredient.get("validation_results", {}).get("activeManifest", {})
    failed = _codes(then, "failure") + _codes(now, "failure") + _codes(ingredient, "validation_status")
    if set(failed) - {UNTRUSTED}:
        return "invalid"
    known = TRUSTED in _codes(then, "success") + _codes(now, "success")
    return "trusted" if known and UNTRUSTED not in _codes(now, "failure") else "unknown signer"


def _source_types(label: str | None, manifests: dict[str, Any]) -> Iterator[str]:
    """Those of a manifest, and of what it was made from."""
    waiting, seen = [label], set[str]()
    while waiting:
        label = waiting.pop()
        if label in manifests and label not in seen:
            seen.add(label)
            yield from _kinds(_actions(manifests[label]))
            waiting += [each.get("active_manifest") for each in manifests[label].get("ingredients", [])]


def _actions(manifest: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for assertion in manifest.get("assertions", []):
        if re.match(r"c2pa\.actions\b", assertion["label"]):
            yield from assertion["data"]["actions"]


def _kinds(actions: Any) -> list[str]:
    return [short(each["digitalSourceType"].rpartition("/")[2]) for each in actions if "digitalSourceType" in each]


def _in_words(action: dict[str, Any]) -> str:
    words = [action["action"].removeprefix("c2pa.").replace("_", " ")]
    if program := _program(action.get("softwareAgent")):
        words.append(f"with {program}")
    if when := action.get("when"):
        words.append(f"at {when}")
    return short(", ".join(words))


def _program(agent: Any) -> str:
    if isinstance(agent, dict):
        agent = " ".join(filter(None, (agent.get("name"), agent.get("version"))))
    return short(agent)


if __name__ == "__main__":
    main()
