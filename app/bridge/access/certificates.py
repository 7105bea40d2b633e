"""TLS for the bridge: its certificate, and whom it lets in by theirs."""

import ssl
from typing import Any

from app.files.file_watcher import WatchedFiles, warn_of_readers
from app.files.pem import no_password, reading_file, reading_pair
from app.settings import HttpSecurity


def certificate_of(security: HttpSecurity) -> WatchedFiles[ssl.SSLContext] | None:
    """What to speak TLS with, renewed when its files are; None for who speaks none. Raises BadSettings.

    Each renewal is a context of its own, so that who was trusted before is not any more.
    """
    if not security.cert_file:
        return None
    files = [security.cert_file, security.key_file, security.client_ca_file]
    return WatchedFiles("certificates", files, lambda: _server_context(security))


def client_name(certificate: Any) -> str:
    """Whom a client's certificate, as `ssl` has it, is for: its first name, else its subject's."""
    names = [name for _, name in certificate.get("subjectAltName", ())]
    subject = [
        value
        for part in certificate.get("subject", ())
        for key, value in part
        if key == "commonName"
    ]
    return str([*names, *subject, "somebody"][0])


def _server_context(security: HttpSecurity) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION  # a client could keep us at it
    with reading_pair(
        ("TOCSIN_TLS_CERT", security.cert_file), ("TOCSIN_TLS_KEY", security.key_file)
    ):
        context.load_cert_chain(security.cert_file, security.key_file, password=no_password)
    if security.client_ca_file:
        with reading_file("TOCSIN_TLS_CLIENT_CA", security.client_ca_file):
            context.load_verify_locations(security.client_ca_file)
        context.verify_mode = ssl.CERT_REQUIRED
    warn_of_readers("TOCSIN_TLS_KEY", security.key_file)
    return context
