"""Whether Amazon SNS signed a message: its certificate, fetched from Amazon and kept for a while."""

import asyncio
from datetime import UTC, datetime

from aiohttp import ClientError, ClientSession, ClientTimeout

from app.bridge.connections.responses import RequestDeclined
from app.intake.sns_messages import SnsMessage
from app.settings import BadSettings

CERTIFICATES_MAX = 20  # SNS has one a region, and renews it now and then
CERTIFICATE_BYTES_MAX = 64 * 1024
FETCH_SECONDS = 5.0


class SnsSignatures:
    """Checks signatures. Certificates are fetched one after the other."""

    def __init__(self) -> None:
        """Raises BadSettings where the package `cryptography` is missing."""
        try:
            import cryptography  # noqa: F401, PLC0415  an extra, which few need
        except ImportError:
            raise BadSettings(
                "TOCSIN_SNS_TOPICS is set, which needs the package cryptography:"
                " pip install 'tocsin[sns]'"
            ) from None
        self._certificates: dict[str, bytes] = {}
        self._fetching = asyncio.Lock()

    async def check(self, message: SnsMessage) -> None:
        """Raise RequestDeclined: 401 for a wrong signature, 503 without the certificate."""
        certificate = await self._certificate(message.certificate_url)
        if not is_signed(message, certificate):
            raise RequestDeclined(401, "wrong_signature", "the message is not signed by Amazon SNS")

    async def _certificate(self, url: str) -> bytes:
        async with self._fetching:
            known = self._certificates.get(url)
            if known is None:
                try:
                    known = await fetch(url)
                except (ClientError, OSError, TimeoutError, ValueError) as error:
                    text = f"the certificate of SNS cannot be fetched: {type(error).__name__}"
                    raise RequestDeclined(503, "certificate_unavailable", text, 30) from None
                if len(self._certificates) >= CERTIFICATES_MAX:
                    del self._certificates[next(iter(self._certificates))]
                self._certificates[url] = known
            return known


def is_signed(message: SnsMessage, certificate: bytes) -> bool:
    """Whether the key of a certificate, as PEM, signed the message, and is valid now."""
    from cryptography import x509  # noqa: PLC0415  as above
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey  # noqa: PLC0415

    # Version 1 is what SNS sends unless a topic says otherwise.
    digest = hashes.SHA256() if message.version == "2" else hashes.SHA1()  # noqa: S303
    try:
        read = x509.load_pem_x509_certificate(certificate)
        key = read.public_key()
        if not read.not_valid_before_utc <= datetime.now(UTC) <= read.not_valid_after_utc:
            return False
        if not isinstance(key, RSAPublicKey):
            return False
        key.verify(message.signature, message.signed, PKCS1v15(), digest)
    except (InvalidSignature, ValueError):
        return False
    return True


async def fetch(url: str) -> bytes:
    """What an address of Amazon gives. Raises ClientError, OSError, TimeoutError and ValueError."""
    timeout = ClientTimeout(total=FETCH_SECONDS)
    async with (
        ClientSession(timeout=timeout) as session,
        session.get(url, allow_redirects=False) as response,
    ):
        body = await response.content.read(CERTIFICATE_BYTES_MAX + 1)
        if response.status != 200 or len(body) > CERTIFICATE_BYTES_MAX:
            raise ValueError(f"status {response.status}, {len(body)} bytes")
        return body
