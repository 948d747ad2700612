"""A certificate authority for one control plane: its certificates live and die with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cluster.commands import run

DAYS = "365"


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate and its key, as files."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Authority:
    """Issues the certificates of one control plane into `folder`."""

    folder: Path

    @property
    def certificate(self) -> Path:
        return self.folder / "ca.crt"

    @property
    def service_accounts(self) -> Path:
        """The key that signs service account tokens."""
        return self.folder / "service-accounts.key"

    def create(self) -> None:
        """Make the authority itself, unless it is there."""
        if self.certificate.exists():
            return
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _key(self.service_accounts)
        _key(self.folder / "ca.key")
        extensions = ["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign"]
        _openssl(
            "req", "-x509", "-new", "-key", self.folder / "ca.key", "-subj", "/CN=tidemill", "-days", DAYS,
            *extensions, "-out", self.certificate,
        )  # fmt: skip

    def issue(self, common_name: str, *, group: str = "", hosts: Sequence[str] = ()) -> Certificate:
        """A certificate for a client (`group` is its organisation) and, where `hosts` are given, a server."""
        stem = common_name.replace(":", "-")
        issued = Certificate(self.folder / f"{stem}.crt", self.folder / f"{stem}.key")
        if issued.certificate.exists():
            return issued
        request, wishes = self.folder / f"{stem}.csr", self.folder / f"{stem}.ext"
        wishes.write_text(extensions(hosts))
        _key(issued.key)
        subject = (f"/O={group}" if group else "") + f"/CN={common_name}"
        _openssl("req", "-new", "-key", issued.key, "-subj", subject, "-out", request)
        _openssl(
            "x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.folder / "ca.key",
            "-CAcreateserial", "-days", DAYS, "-extfile", wishes, "-out", issued.certificate,
        )  # fmt: skip
        request.unlink()
        wishes.unlink()
        return issued


def extensions(hosts: Sequence[str]) -> str:
    """What a certificate may be used for, in openssl's own notation.

    >>> print(extensions(["127.0.0.1", "kubernetes.default.svc"]))
    keyUsage=critical,digitalSignature
    extendedKeyUsage=clientAuth,serverAuth
    subjectAltName=IP:127.0.0.1,DNS:kubernetes.default.svc
    """
    if not hosts:
        return "keyUsage=critical,digitalSignature\nextendedKeyUsage=clientAuth"
    names = ",".join(f"{'IP' if host.replace('.', '').isdigit() else 'DNS'}:{host}" for host in hosts)
    return f"keyUsage=critical,digitalSignature\nextendedKeyUsage=clientAuth,serverAuth\nsubjectAltName={names}"


def _key(path: Path) -> None:
    _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path)
    path.chmod(0o600)


def _openssl(*arguments: str | Path) -> None:
    run(["openssl", *arguments], timeout=30)
