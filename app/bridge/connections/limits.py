"""How much the bridge takes on at once.

What is above a limit is refused, by a reason that is answered and counted.
"""

from dataclasses import dataclass

from app.settings import HttpSecurity

BODY_BYTES_MAX = 10 * 1024 * 1024  # also of what a compressed body unfolds to
RETRY_SECONDS = 5  # when nothing better is known
# Of a chunked body: what its chunks may have around them, beside a share of what is in them. A chunk
# takes 2 us whatever its size, and has 5 bytes of framing at least.
FRAMING_BYTES_FREE = 16 * 1024
FRAMING_SHARE = 64
FRAMING_BYTES_ALERT = 32  # that count as an alert: 6 chunks of a byte take as long as an alert does


@dataclass(frozen=True, slots=True)
class Limits:
    """All of them.

    Those that are settings have their reasons there (`app.settings.HttpSecurity`).
    """

    connections: int = 512
    requests_per_second: float = 500
    alerts_per_second: float = 20_000
    burst_seconds: float = (
        5.0  # a sender that was silent may send what it could have sent in that time
    )
    senders: int = 10_000  # that are told apart; some 2 MiB. Those beyond share one allowance
    bodies_bytes: int = (
        64 * 1024 * 1024
    )  # of all bodies that are being read; with 512 connections it could be 5 GiB
    handshake_seconds: float = 10.0  # for TLS
    head_seconds: float = (
        10.0  # from the first byte of a request, or a new connection, to the end of the headers
    )
    body_seconds: float = 30.0  # a sender that dribbles must not hold a connection for ever
    linger_seconds: float = (
        10.0  # for the rest of a body that was answered before its end, so that the answer is read
    )
    answer_seconds: float = 30.0  # for who asked to take the answer
    idle_seconds: float = (
        75.0  # between requests; more than the minute after which Prometheus sends again
    )

    @property
    def connections_each(self) -> int:
        """The connections of one address.

        Whoever takes all that it can leaves as many to the others.
        """
        return self.connections // 2

    @property
    def connections_kept(self) -> int:
        """The places that are kept for tokens and certificates, where anybody is asked for one."""
        return self.connections // 8


def limits_of(security: HttpSecurity) -> Limits:
    """The limits that the settings name."""
    return Limits(
        connections=security.connections,
        requests_per_second=security.requests,
        alerts_per_second=security.alerts,
    )
