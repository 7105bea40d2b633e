"""How a client of Kafka proves who it is and whom it talks to: what aiokafka wants to know, and why a broker turns us away.

TLS is as Python's default for clients has it: certificate and host name are checked, and nothing
older than TLS 1.2 is spoken.
"""

import errno
import socket
import ssl
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from aiokafka.conn import create_conn, get_ip_port_afi
from aiokafka.errors import (
    IllegalSaslStateError,
    KafkaConnectionError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)

from app.files.file_access import open_plain
from app.files.pem import no_password, reading_file, reading_pair
from app.settings import BadSettings, KafkaSecurity

SECRET_BYTES_MAX = 4096
PROBE_MS = 5000


def client_settings(security: KafkaSecurity) -> dict[str, Any]:
    """The keywords for aiokafka's clients. Reads the files that are named. Raises BadSettings."""
    settings: dict[str, Any] = {"security_protocol": security.protocol}
    if security.tls:
        settings["ssl_context"] = _tls_context(security)
    if security.sasl:
        settings["sasl_mechanism"] = security.mechanism
        settings["sasl_plain_username"] = security.user
        settings["sasl_plain_password"] = _read_password(security)
    return settings


def _tls_context(security: KafkaSecurity) -> ssl.SSLContext:
    with reading_file("TOCSIN_KAFKA_CA_FILE", security.ca_file):
        context = ssl.create_default_context(
            ssl.Purpose.SERVER_AUTH, cafile=security.ca_file or None
        )
    if security.cert_file:
        certificate, key = (
            ("TOCSIN_KAFKA_CERT_FILE", security.cert_file),
            ("TOCSIN_KAFKA_KEY_FILE", security.key_file),
        )
        with reading_pair(certificate, key):
            context.load_cert_chain(security.cert_file, security.key_file, password=no_password)
    return context


def _read_password(security: KafkaSecurity) -> str:
    if security.password:
        return security.password
    where = f"TOCSIN_KAFKA_PASSWORD_FILE is {security.password_file!r}, "
    try:
        with open_plain(security.password_file) as file:
            secret = file.read(SECRET_BYTES_MAX + 1)
        password = secret.decode().rstrip("\r\n")
    except OSError as error:
        raise BadSettings(f"{where}which cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadSettings(f"{where}must be UTF-8") from None
    if not password or len(secret) > SECRET_BYTES_MAX or not password.isprintable():
        raise BadSettings(
            f"{where}must be one line with the password, of at most {SECRET_BYTES_MAX} bytes"
        )
    return password


class WhyNot(NamedTuple):
    """Why brokers do not take a client. `away`: no broker is there, so later one may be."""

    text: str
    away: bool


async def why_not(servers: Sequence[str], settings: Mapping[str, Any]) -> WhyNot:
    """Why the brokers do not take these settings, as far as one more try of each tells.

    Aiokafka only says that none did.
    """
    reasons = []
    away = True
    for server in servers:
        try:
            host, port, _ = get_ip_port_afi(server)
            connection = await create_conn(host, port, request_timeout_ms=PROBE_MS, **settings)
        except Exception as error:  # noqa: BLE001  it is told to somebody, whatever it is
            reasons.append(_reason_text(error))
            away = away and _is_away(error)
        else:
            connection.close()
            away = False
            reasons.append(
                "it takes the connection and no request; does it want a password (TOCSIN_KAFKA_SECURITY)?"
            )
    return WhyNot("; ".join(dict.fromkeys(reasons)), away)


def _is_away(error: Exception) -> bool:
    """Whether nobody is there, rather than somebody who turns us away. A name may be unknown yet."""
    cause = error.__cause__ if isinstance(error, KafkaConnectionError) else None
    reason = cause or error
    if isinstance(reason, OSError) and reason.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH):
        return True
    return isinstance(reason, ConnectionRefusedError | TimeoutError | socket.gaierror)


def _reason_text(error: Exception) -> str:
    match error:
        case ssl.SSLCertVerificationError():
            return (
                f"its certificate is not trusted ({error.verify_message}); TOCSIN_KAFKA_CA_FILE has to be who signed it, and "
                "TOCSIN_BROKER has to name the host as the certificate does"
            )
        case ssl.SSLError():
            reason = error.reason or "the connection was cut"
            return f"TLS fails ({reason}); is TOCSIN_KAFKA_SECURITY right for this port, does it want TOCSIN_KAFKA_CERT_FILE?"
        case SaslAuthenticationFailed() | UnsupportedSaslMechanismError() | IllegalSaslStateError():
            return f"it refuses TOCSIN_KAFKA_USER, its password or TOCSIN_KAFKA_MECHANISM ({error})"
        case ConnectionRefusedError():
            return "nobody listens there; is it running, is TOCSIN_BROKER right?"
        case TimeoutError():
            return f"it does not answer within {PROBE_MS} ms; is it running, is TOCSIN_KAFKA_SECURITY right for this port?"
        case KafkaConnectionError(__cause__=ssl.SSLError() as cause):
            return _reason_text(cause)
        case KafkaConnectionError() | EOFError() | ConnectionError():
            return "it closes the connection; does it want TLS, a certificate or a password (TOCSIN_KAFKA_SECURITY)?"
        case ValueError():
            return f"it does not know the password either, so it is not the broker it says it is ({error})"
        case socket.gaierror():
            return f"its name is not known ({error.strerror}); is TOCSIN_BROKER right?"
        case _:
            return f"{error!r}; is it running, is TOCSIN_BROKER right?"
