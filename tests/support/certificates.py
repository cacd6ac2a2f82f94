"""A certificate authority for a rig, made by openssl(1).

Owns one directory with the authority's key, and every certificate it signs.
Elliptic curves, because a client in an emulated guest pays for each handshake
with seconds where RSA is slow. Must never write a key that others can read.
"""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from tests.support.child import RigError

if TYPE_CHECKING:
    from collections.abc import Sequence

_CURVE = ("-pkeyopt", "ec_paramgen_curve:prime256v1")
_KEY = ("-newkey", "ec", *_CURVE, "-nodes", "-sha256", "-days", "2")


class Authority:
    """The CA of one rig; `certificate` is what clients must trust."""

    def __init__(self, directory: str) -> None:
        """Make it in this directory, or find it there. Raises RigError with openssl's words."""
        self.directory = directory
        os.makedirs(directory, mode=0o700, exist_ok=True)
        self.certificate, self._key = self._paths("ca")
        if not os.path.exists(self._key):
            self._certify("/CN=rig-ca", self.certificate, self._key)

    def client(self, user: str, groups: Sequence[str] = ()) -> tuple[str, str]:
        """Return paths of certificate and key that say who a user is, as Kubernetes reads it.

        The name is the subject's CN, each group an O
        (kubernetes.io/docs/reference/access-authn-authz/authentication).
        """
        subject = "".join(f"/O={group}" for group in groups) + f"/CN={user}"
        return self._signed(user, subject, "extendedKeyUsage=clientAuth")

    def server(self, name: str, names: Sequence[str], addresses: Sequence[str]) -> tuple[str, str]:
        """Return paths of certificate and key of a server with these DNS names and IP addresses."""
        listed = ",".join([*(f"DNS:{n}" for n in names), *(f"IP:{a}" for a in addresses)])
        return self._signed(name, f"/CN={name}", "extendedKeyUsage=serverAuth", f"subjectAltName={listed}")

    def pair(self, name: str) -> tuple[str, str]:
        """Return paths of a public and a private key without a certificate, for tokens."""
        public, private = os.path.join(self.directory, f"{name}.pub"), self._paths(name)[1]
        self._openssl("genpkey", "-algorithm", "EC", *_CURVE, "-out", private)
        self._openssl("pkey", "-in", private, "-pubout", "-out", public)
        return public, private

    def _signed(self, name: str, subject: str, *extensions: str) -> tuple[str, str]:
        certificate, key = self._paths(name.replace(":", "-"))
        more = [word for extension in extensions for word in ("-addext", extension)]
        by = ["-CA", self.certificate, "-CAkey", self._key]
        self._certify(subject, certificate, key, *by, *more)
        return certificate, key

    def _certify(self, subject: str, certificate: str, key: str, *more: str) -> None:
        self._openssl("req", "-x509", *_KEY, "-subj", subject, *more, "-out", certificate, "-keyout", key)

    def _paths(self, name: str) -> tuple[str, str]:
        return os.path.join(self.directory, f"{name}.crt"), os.path.join(self.directory, f"{name}.key")

    def _openssl(self, *words: str) -> None:
        done = subprocess.run(["openssl", *words], check=False, capture_output=True, text=True)
        if done.returncode:
            raise RigError(f"openssl {' '.join(words)}: {done.stderr}")
