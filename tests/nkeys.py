# SPDX-License-Identifier: Apache-2.0
"""NATS's keys and tokens for tests: nkeys, the JWTs of an operator, an account and a user, and
certificates. Written from the formats' descriptions; nats-server judges them."""
import base64
import datetime
import ipaddress
import json
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID

SEED = 18 << 3
KINDS = {"operator": 14 << 3, "account": 0, "user": 20 << 3}


def crc16(data):
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1) ^ (0x1021 if crc & 0x8000 else 0)
        crc &= 0xFFFF
    return crc.to_bytes(2, "little")


def base32(data):
    return base64.b32encode(data + crc16(data)).decode().rstrip("=")


def base64url(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


class Nkey:
    """A pair of keys: `seed` and `public` as text."""

    def __init__(self, kind):
        prefix = KINDS[kind]
        self.key = Ed25519PrivateKey.generate()
        private = self.key.private_bytes(serialization.Encoding.Raw,
                                         serialization.PrivateFormat.Raw,
                                         serialization.NoEncryption())
        public = self.key.public_key().public_bytes(serialization.Encoding.Raw,
                                                    serialization.PublicFormat.Raw)
        self.seed = base32(bytes([SEED | prefix >> 5, (prefix & 31) << 3]) + private)
        self.public = base32(bytes([prefix]) + public)

    def jwt(self, name, subject, claims):
        """A token about `subject`, signed by this key."""
        header = {"typ": "JWT", "alg": "ed25519-nkey"}
        body = {"jti": "test", "iat": int(time.time()), "iss": self.public, "name": name,
                "sub": subject, "nats": {"version": 2, **claims}}
        text = ".".join(base64url(json.dumps(part).encode()) for part in (header, body))
        return f"{text}.{base64url(self.key.sign(text.encode()))}"


def credentials(directory):
    """Writes operator.conf for nats-server and user.creds for its user."""
    operator, account, user = Nkey("operator"), Nkey("account"), Nkey("user")
    limits = {name: -1 for name in ("subs", "data", "payload", "imports", "exports", "conn",
                                    "leaf")}
    operator_jwt = operator.jwt("operator", operator.public, {"type": "operator"})
    account_jwt = operator.jwt("account", account.public, {
        "type": "account", "limits": {**limits, "wildcards": True}})
    user_jwt = account.jwt("user", user.public, {
        "type": "user", "pub": {}, "sub": {}, "subs": -1, "data": -1, "payload": -1})
    (directory / "operator.conf").write_text(
        f"operator: {operator_jwt}\nresolver: MEMORY\n"
        f"resolver_preload: {{ {account.public}: {account_jwt} }}\n")
    (directory / "user.creds").write_text(
        f"-----BEGIN NATS USER JWT-----\n{user_jwt}\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{user.seed}\n------END USER NKEY SEED------\n")


def certificate(directory, name, *, issuer=None, hosts=(), days=1):
    """Writes NAME.pem and NAME.key. `issuer`: what this returned for a CA; None: it is one."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.utcnow()
    builder = x509.CertificateBuilder().subject_name(subject).public_key(key.public_key()) \
        .issuer_name(issuer[0] if issuer else subject) \
        .serial_number(x509.random_serial_number()) \
        .not_valid_before(now - datetime.timedelta(hours=1)) \
        .not_valid_after(now + datetime.timedelta(days=days)) \
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    if hosts:
        names = [x509.IPAddress(ipaddress.ip_address(host)) if host[0].isdigit()
                 else x509.DNSName(host) for host in hosts]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    signed = builder.sign(issuer[1] if issuer else key, hashes.SHA256())
    (directory / f"{name}.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    (directory / f"{name}.key").write_bytes(key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption()))
    return subject, key
