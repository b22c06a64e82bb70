"""Throw-away certificates: an authority of one's own and what it signs."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_BEGINS_EARLIER = timedelta(minutes=5)  # clocks differ


class Authority:
    """A certificate authority that signs until it is forgotten: its key is never written.

    Args:
        lasts: How long its own certificate is valid.
    """

    def __init__(self, lasts: timedelta = timedelta(hours=1)) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Nexpo throw-away")])
        self._certificate = self._signed(self._name, self._key.public_key(), (), lasts)

    def write(self, folder: Path) -> Path:
        """Writes its own certificate as PEM."""
        path = folder / "authority.pem"
        path.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))
        return path

    def issue(
        self, folder: Path, *hosts: str, lasts: timedelta = timedelta(hours=1)
    ) -> tuple[Path, Path]:
        """Writes a certificate and its key as PEM; returns their paths.

        Args:
            folder: Where to.
            hosts: Names and addresses that it is for; the first names the files.
            lasts: How long it is valid; below zero it has expired already.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0])])
        certificate = self._signed(name, key.public_key(), hosts, lasts)
        paths = folder / f"{hosts[0]}.pem", folder / f"{hosts[0]}.key"
        paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        paths[1].touch(mode=0o600)
        paths[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return paths

    def _signed(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey,
        hosts: tuple[str, ...],
        lasts: timedelta,
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(min(now, now + lasts) - _BEGINS_EARLIER)
            .not_valid_after(now + lasts)
            .add_extension(x509.BasicConstraints(ca=not hosts, path_length=None), critical=True)
        )
        if hosts:
            names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self._key, hashes.SHA256())


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
