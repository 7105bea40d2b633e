"""Listeners that want TLS, passwords or both, for a developer's Kafka: certificates of its own, and users.

The certificates are made with OpenSSL and live as long as the folder. Whatever is secret here is
secret from nobody.
"""

import socket
import subprocess
from pathlib import Path

USER, GUEST, PASSWORD = "tocsin", "guest", "correct horse battery staple"  # a guest may do nothing
PROTOCOLS = ("SASL_SSL", "SSL", "SASL_PLAINTEXT")
MECHANISMS = ("SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN")
HOST = "127.0.0.1"

_PROPERTIES = """
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,{map}
inter.broker.listener.name=PLAINTEXT
ssl.keystore.type=PEM
ssl.keystore.location={folder}/broker.pem
ssl.truststore.type=PEM
ssl.truststore.location={folder}/ca.crt
listener.name.ssl.ssl.client.auth=required
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS;User:{user};User:CN=client
sasl.enabled.mechanisms={mechanisms}
"""
_SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
_PLAIN = (
    f'org.apache.kafka.common.security.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
)


class Secured:
    """What a broker needs for listeners of these protocols, beside its own of PLAINTEXT, which the brokers talk through.

    SSL asks for a client certificate; the others ask for USER and PASSWORD, by any of the
    mechanisms.
    """

    def __init__(self, folder: Path, protocols: tuple[str, ...] = PROTOCOLS) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.ports = dict(zip(protocols, free_ports(len(protocols)), strict=True))
        self.ca_file, self.password_file = folder / "ca.crt", folder / "password"
        self.password_file.write_text(f"{PASSWORD}\n")
        authority(folder, "ca")
        self.broker_certificate = certificate(folder, "broker", "ca", f"IP:{HOST}")
        self.client_certificate = certificate(folder, "client", "ca", "DNS:client")
        key, signed = (path.read_text() for path in reversed(self.broker_certificate))
        (folder / "broker.pem").write_text(key + signed)

    def bootstrap(self, protocol: str) -> str:
        """The address of a listener, as TOCSIN_BROKER wants it behind kafka://."""
        return f"{HOST}:{self.ports[protocol]}"

    def properties(self, text: str) -> str:
        """A broker's properties with these listeners in them too."""
        more = "".join(f",{protocol}://{self.bootstrap(protocol)}" for protocol in self.ports)
        lines = [
            line + more if line.startswith(("listeners=", "advertised.listeners=")) else line
            for line in text.splitlines()
        ]
        lines.append(
            _PROPERTIES.format(
                folder=self.folder,
                map=",".join(f"{protocol}:{protocol}" for protocol in self.ports),
                mechanisms=",".join(MECHANISMS),
                user=USER,
            )
        )
        for protocol in self.ports:
            for mechanism in MECHANISMS if protocol.startswith("SASL") else ():
                module = _PLAIN if mechanism == "PLAIN" else _SCRAM
                lines.append(
                    f"listener.name.{protocol.lower()}.{mechanism.lower()}.sasl.jaas.config={module}"
                )
        return "\n".join(lines) + "\n"

    def format_arguments(self) -> list[str]:
        """What tells the tool that formats the storage of the user.

        Where there is no broker yet, nobody else could.
        """
        scram = [mechanism for mechanism in MECHANISMS if mechanism.startswith("SCRAM")]
        users = [
            f'{one}=[name="{user}",password="{PASSWORD}"]'
            for one in scram
            for user in (USER, GUEST)
        ]
        return [part for user in users for part in ("--add-scram", user)]


def authority(folder: Path, name: str) -> Path:
    """The certificate of a new authority, NAME.crt, whose key is NAME.key."""
    key, signed = folder / f"{name}.key", folder / f"{name}.crt"
    _openssl(
        "req",
        "-x509",
        *_NEW_KEY,
        "-keyout",
        key,
        "-out",
        signed,
        "-days",
        "7",
        "-subj",
        f"/CN={name} of a test",
    )
    return signed


def certificate(folder: Path, name: str, issuer: str, subject: str) -> tuple[Path, Path]:
    """Certificate and key, NAME.crt and NAME.key, for a subject such as DNS:localhost, signed by an authority."""
    key, request, signed, extensions = (
        folder / f"{name}.{end}" for end in ("key", "csr", "crt", "ext")
    )
    extensions.write_text(f"subjectAltName={subject}\n")
    _openssl("req", *_NEW_KEY, "-keyout", key, "-out", request, "-subj", f"/CN={name}")
    by = ("-CA", folder / f"{issuer}.crt", "-CAkey", folder / f"{issuer}.key", "-CAcreateserial")
    _openssl(
        "x509", "-req", "-in", request, *by, "-out", signed, "-days", "7", "-extfile", extensions
    )
    return signed, key


_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc")


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def free_ports(number: int) -> list[int]:
    """Ports of loopback that nobody has."""
    probes = [socket.socket() for _ in range(number)]
    for probe in probes:
        probe.bind((HOST, 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports
