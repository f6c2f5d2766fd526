# SPDX-License-Identifier: Apache-2.0
"""Certificates for the servers of the tests."""

import os
import subprocess


class Certificates:
    """A CA and what it signed, made with openssl in the directory @root."""

    def __init__(self, root):
        self.root = root
        self.ca = self._make_ca("ca")

    def path(self, name):
        return os.path.join(self.root, name)

    def _openssl(self, *args):
        subprocess.run(["openssl", *args], check=True, capture_output=True, stdin=subprocess.DEVNULL)

    def _make_ca(self, name):
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                      "-subj", f"/CN={name}", "-keyout", self.path(f"{name}.key"), "-out", self.path(f"{name}.crt"))
        return self.path(f"{name}.crt")

    def other_ca(self, name):
        """Another CA, of which nobody knows."""
        return self._make_ca(name)

    def sign(self, name, subject, names="IP:127.0.0.1,IP:::1,DNS:localhost", days="2", ca="ca"):
        """A key and a certificate: paths of both."""
        key, request, cert = self.path(f"{name}.key"), self.path(f"{name}.csr"), self.path(f"{name}.crt")
        extensions = self.path(f"{name}.ext")
        with open(extensions, "w", encoding="utf-8") as file:
            file.write(f"subjectAltName={names}\n")
        self._openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", subject,
                      "-keyout", key, "-out", request)
        self._openssl("x509", "-req", "-in", request, "-CA", self.path(f"{ca}.crt"), "-CAkey", self.path(f"{ca}.key"),
                      "-CAcreateserial", "-days", days, "-extfile", extensions, "-out", cert)
        return cert, key
