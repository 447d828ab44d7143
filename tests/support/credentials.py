"""Certificates of an authority that is made up, and files that are signed with them as Content Credentials."""

import json
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any, NamedTuple

import c2pa
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

SOURCE = "http://cv.iptc.org/newscodes/digitalsourcetype/"


class Authority(NamedTuple):
    """A root certificate, and a signer's chain and private key, all PEM."""

    root: bytes
    chain: bytes
    key: bytes


def authority(signer: str = "Camera 1", status_at: str = "http://192.0.2.1/", seconds: float = 86400) -> Authority:
    """A new authority, which has certified one signer of the organisation "Test" for so many seconds.

    ``status_at`` is the address at which the certificate says that its status can be asked for (OCSP).
    """
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    root = _certificate("Root", True, keys[0], keys[0], status_at, 86400)
    leaf = _certificate(signer, False, keys[1], keys[0], status_at, seconds)
    return Authority(root, leaf + root, keys[1].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _certificate(
    name: str,
    root: bool,
    key: ec.EllipticCurvePrivateKey,
    issuer: ec.EllipticCurvePrivateKey,
    status_at: str,
    seconds: float,
) -> bytes:
    def named(common: str) -> x509.Name:
        names = ((NameOID.ORGANIZATION_NAME, "Test"), (NameOID.COMMON_NAME, common))
        return x509.Name([x509.NameAttribute(kind, text) for kind, text in names])

    usage = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only"), False
    )
    usage |= {"decipher_only": False, "digital_signature": not root, "key_cert_sign": root, "crl_sign": root}
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder(named("Root"), named(name), key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(seconds=seconds))
        .add_extension(x509.BasicConstraints(root, None), critical=True)
        .add_extension(x509.KeyUsage(**usage), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key()), critical=False)
    )
    asked = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(status_at))
    built = built.add_extension(x509.AuthorityInformationAccess([asked]), critical=False)
    if not root:
        built = built.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
    return built.sign(issuer, SHA256()).public_bytes(Encoding.PEM)


def created(source_type: str, program: str = "Painter") -> dict[str, Any]:
    """An assertion on how a file was made."""
    agent = {"name": program, "version": "2"}
    action = {"action": "c2pa.created", "digitalSourceType": SOURCE + source_type, "softwareAgent": agent}
    return {"label": "c2pa.actions.v2", "data": {"actions": [action]}}


def signed(
    content: bytes,
    kind: str,
    by: Authority,
    *assertions: dict[str, Any],
    ingredient: bytes | None = None,
    remote: str | None = None,
    embedded: bool = True,
    thumbnail: bytes | None = None,
    anchors: bytes | None = None,
    stamped_at: str | None = None,
) -> bytes:
    """A file of the MIME type ``kind``, with a manifest that has these assertions, without a check of it.

    ``ingredient`` is a JPEG that it was made from, judged by ``anchors``. ``remote`` is an address at which the
    manifest is said to be, and alone if it is not ``embedded``. ``stamped_at`` is the address of an authority for time
    stamps.
    """
    settings: dict[str, Any] = {"builder": {"thumbnail": {"enabled": False}}, "verify": {"verify_after_sign": False}}
    settings |= {"trust": {"user_anchors": anchors.decode()}} if anchors else {}
    manifest: dict[str, Any] = {
        "claim_generator_info": [{"name": "Test program", "version": "1"}],
        "assertions": assertions,
    }
    if thumbnail:
        manifest["thumbnail"] = {"format": "image/jpeg", "identifier": "thumbnail"}
    with (
        c2pa.Context.from_dict(settings) as context,
        c2pa.Builder.from_json(json.dumps(manifest), context=context) as builder,
        c2pa.Signer.from_info(c2pa.C2paSignerInfo("es256", by.chain, by.key, stamped_at)) as signer,
    ):
        if thumbnail:
            builder.add_resource("thumbnail", BytesIO(thumbnail))
        if ingredient:
            builder.set_intent(c2pa.C2paBuilderIntent.EDIT)
            given = {"title": "parent.jpg", "relationship": "parentOf"}
            builder.add_ingredient(given, "image/jpeg", BytesIO(ingredient))
        if remote:
            builder.set_remote_url(remote)
        if not embedded:
            builder.set_no_embed()
        out = BytesIO()
        builder.sign(signer, kind, BytesIO(content), out)
        return out.getvalue()
