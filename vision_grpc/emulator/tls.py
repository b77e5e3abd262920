"""Certificates for the server: given ones, or made on the spot under a root of its own (extra ``local``: cryptography)."""

import datetime
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

_DAY = datetime.timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Tls:
    """What the server shows, all in PEM.

    Attributes:
        certificate: the server's certificate chain, its own first.
        key: its private key.
        root: what a client trusts; the certificate itself where it is self-signed.
        client_root: with it, only clients are served that show a certificate under this root (mutual TLS).
    """

    certificate: bytes
    key: bytes = field(repr=False)
    root: bytes
    client_root: bytes | None = None

    def __post_init__(self) -> None:
        for what, pem, mark in (
            ("certificate", self.certificate, b"CERTIFICATE-----"),
            ("key", self.key, b"PRIVATE KEY-----"),
            ("client_root", self.client_root, b"CERTIFICATE-----"),
        ):
            if pem is not None and mark not in pem:
                raise ValueError(f"TLS: the {what} is not PEM; it lacks -----BEGIN … {mark.decode()}")

    @classmethod
    def from_files(cls, certificate: str | Path, key: str | Path, *, client_root: str | Path | None = None) -> "Tls":
        """Reads PEM files. Raises OSError, and ValueError for files of something else."""
        chain = Path(certificate).read_bytes()
        return cls(
            certificate=chain,
            key=Path(key).read_bytes(),
            root=chain,
            client_root=Path(client_root).read_bytes() if client_root is not None else None,
        )

    @classmethod
    def self_signed(cls, names: Sequence[str] = (), *, mutual: bool = False) -> "Tls":
        """Makes a root and a certificate under it for localhost, the loopback addresses and the given names."""
        return Authority().server(names, mutual=mutual)


class Authority:
    """A certificate authority for tests, living in memory.

    Raises:
        ImportError: the package cryptography is not installed.
    """

    def __init__(self) -> None:
        try:
            from cryptography.hazmat.primitives.asymmetric import ec
        except ImportError as error:
            raise ImportError("Making certificates needs the package cryptography: pip install 'vision-grpc[local]'") from error
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._certificate = self._sign("vision-grpc test root", self._key, (), authority=True)

    @property
    def root(self) -> bytes:
        """The root certificate, PEM."""
        return _pem(self._certificate)

    def server(self, names: Sequence[str] = (), *, mutual: bool = False) -> Tls:
        """Returns a server's side; with mutual, it serves only clients that show a certificate of this authority."""
        certificate, key = self._leaf("vision-grpc emulator", ("localhost", "127.0.0.1", "::1", *names))
        return Tls(certificate=certificate + self.root, key=key, root=self.root, client_root=self.root if mutual else None)

    def client(self, name: str = "vision-grpc client") -> tuple[bytes, bytes]:
        """Returns a client's certificate and its private key, PEM."""
        return self._leaf(name, (name,))

    def _leaf(self, subject: str, names: Sequence[str]) -> tuple[bytes, bytes]:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec

        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return _pem(self._sign(subject, key, names)), pem

    def _sign(
        self, subject: str, key: "ec.EllipticCurvePrivateKey", names: Sequence[str], *, authority: bool = False
    ) -> "x509.Certificate":
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes

        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, subject)])
        # A day back: clocks of two machines differ.
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name if authority else self._certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _DAY)
            .not_valid_after(now + 365 * _DAY)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        return builder.sign(self._key, hashes.SHA256())


def _general_name(name: str) -> "x509.GeneralName":
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(certificate: "x509.Certificate") -> bytes:
    from cryptography.hazmat.primitives import serialization

    return certificate.public_bytes(serialization.Encoding.PEM)
