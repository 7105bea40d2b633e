"""How Tocsin runs here: environment only, typed, each default with its reason.

What Tocsin decides is policy (`models.policy.policy`), not settings.
"""

import ipaddress
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict
from urllib.parse import urlsplit

from models.errors import TocsinError
from models.log_format import LogFormat
from models.setting_names import unknown_name
from models.topics import PARTITIONS_MAX

CLOCK_DIGITS = 15  # of milliseconds since 1970: the years that dates can have
EMBEDDED = "embedded:"
KAFKA = "kafka://"
_PREFIX = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}"
)  # Kafka takes 249 characters in a topic's name

_HOST_NAME = re.compile(r"[a-z0-9_](?:[a-z0-9._-]{0,251}[a-z0-9.])?")
_HEADER_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")
_SNS_TOPIC = re.compile(
    r"arn:aws[a-z-]*:sns:[a-z0-9-]{3,30}:\d{12}:[A-Za-z0-9_-]{1,256}(?:\.fifo)?", re.ASCII
)
_ROUTE_PREFIX = re.compile(r"(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*){1,16}")


class BadSettings(TocsinError):
    """An environment variable that cannot be used.

    The message names it, what was found and what is expected.
    """


@dataclass(frozen=True, slots=True)
class KafkaSecurity:
    """How Kafka's brokers prove who they are, and we to them. Files are read when we connect (`app.transport.security`).

    What is set and not used, or used and not set, is refused: a password on the wrong port is worse
    than no start.
    """

    protocol: str = "PLAINTEXT"  # TOCSIN_KAFKA_SECURITY: Kafka's names; SASL_SSL where others can reach the network
    ca_file: str = ""  # TOCSIN_KAFKA_CA_FILE: PEM; who vouches for the brokers. Empty is whom this machine trusts
    cert_file: str = ""  # TOCSIN_KAFKA_CERT_FILE: PEM; ours, where the brokers ask for one
    key_file: str = (
        ""  # TOCSIN_KAFKA_KEY_FILE: PEM; its key, not encrypted: nobody is there to type a password
    )
    mechanism: str = "SCRAM-SHA-512"  # TOCSIN_KAFKA_MECHANISM: or SCRAM-SHA-256; PLAIN tells the broker the password
    user: str = ""  # TOCSIN_KAFKA_USER
    password_file: str = ""  # TOCSIN_KAFKA_PASSWORD_FILE: rather than the variable, which every child process inherits
    password: str = field(default="", repr=False)  # TOCSIN_KAFKA_PASSWORD

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted, and the broker's certificate and name checked."""
        return self.protocol in ("SSL", "SASL_SSL")

    @property
    def sasl(self) -> bool:
        """Whether we say a user and prove a password."""
        return self.protocol.startswith("SASL_")


@dataclass(frozen=True, slots=True)
class HttpSecurity:
    """Who may ask the bridge, and how much.

    Its files are read again when they change (`app.files.file_watcher`).
    """

    tokens_file: str = ""  # TOCSIN_TOKENS: a line for each token (`app.bridge.access.tokens`); needed beyond loopback
    cert_file: str = ""  # TOCSIN_TLS_CERT: PEM; with it the bridge speaks TLS, and nothing else
    key_file: str = (
        ""  # TOCSIN_TLS_KEY: PEM; its key, not encrypted: nobody is there to type a password
    )
    client_ca_file: str = (
        ""  # TOCSIN_TLS_CLIENT_CA: PEM; who asks has to have a certificate that it signed
    )
    insecure: bool = (
        False  # TOCSIN_INSECURE: "yes" lets everybody who can reach the bridge do everything
    )
    # TOCSIN_ALLOWED_HOSTS: names in small letters by which browsers may ask a bridge without tokens
    allowed_hosts: tuple[str, ...] = ()
    user_header: str = ""  # TOCSIN_TRUST_USER_HEADER: where a proxy says who looks at a page
    proxies: tuple[str, ...] = ()  # TOCSIN_TRUSTED_PROXIES: networks whose word counts for that
    route_prefix: str = ""  # TOCSIN_ROUTE_PREFIX: such as /tocsin, where a proxy passes it on
    requests: int = 500  # TOCSIN_SENDER_REQUESTS: a sender's, a second; a fifth of what a core can answer. 0: no limit
    alerts: int = 20_000  # TOCSIN_SENDER_ALERTS: as above; each KiB of a body counts as one too
    connections: int = (
        512  # TOCSIN_CONNECTIONS: at once, below the 1024 files of a process; half for one address
    )

    @property
    def identified(self) -> bool:
        """Whether the bridge knows who asks."""
        return bool(self.tokens_file or self.client_ca_file)


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of a process. `from_environment` reads the variable named beside each."""

    broker: str = "embedded:tocsin-data"  # TOCSIN_BROKER: no broker needed; kafka://host:9092[;host:9092] in production
    kafka: KafkaSecurity = KafkaSecurity()  # TOCSIN_KAFKA_*
    policy_file: str = ""  # TOCSIN_POLICY: empty is the policy that ships with Tocsin
    receivers_file: str = ""  # TOCSIN_RECEIVERS: how contacts are reached; empty prints messages
    link_key_file: str = ""  # TOCSIN_LINK_KEY: signs one-tap links, which then are in messages
    pagerduty_key_file: str = ""  # TOCSIN_PAGERDUTY_KEY: signs what PagerDuty's webhooks send
    sns_topics: tuple[str, ...] = ()  # TOCSIN_SNS_TOPICS: ARNs of topics whose messages are taken
    sns_confirm: bool = False  # TOCSIN_SNS_CONFIRM: "yes" confirms their subscriptions
    prefix: str = "tocsin"  # TOCSIN_PREFIX: of all topics, and the consumer group's name
    partitions: int = (
        8  # TOCSIN_PARTITIONS: fixed for the life of the topics; as many workers can share the work
    )
    replication: int = 1  # TOCSIN_REPLICATION: of the topics we create; 3 where three brokers are
    epoch: int = 0  # TOCSIN_EPOCH: of a Kafka whose topics were put back from a copy; an embedded journal has its own
    host: str = "127.0.0.1"  # TOCSIN_HOST: where the bridge and the metrics listen; loopback, until there are tokens
    port: int = 9099  # TOCSIN_PORT: the bridge's; 0 lets the system choose. Not Alertmanager's, so that both can run
    http: HttpSecurity = HttpSecurity()  # TOCSIN_TOKENS, TOCSIN_TLS_* and so on
    metrics_port: int = 0  # TOCSIN_METRICS_PORT: a worker's own metrics; 0 is none
    instance: str = ""  # TOCSIN_INSTANCE: a stable name makes a quick restart cost no rebalance (static membership)
    checkpoint_ms: int = 1000  # TOCSIN_CHECKPOINT_MS: how much work a restart may have to do again
    heartbeat_url: str = ""  # TOCSIN_HEARTBEAT_URL: asked once a minute while all is well; a monitor outside misses it
    log_format: LogFormat = LogFormat.TEXT  # TOCSIN_LOG_FORMAT: json is for what collects logs
    clock: str = "system"  # TOCSIN_CLOCK: "driven" lets PUT /clock move the embedded journal's time (demo, tests)
    clock_begins_ms: int = 1  # TOCSIN_CLOCK=driven:MS: where it stands at first; 0 is never

    @property
    def embedded(self) -> bool:
        """Whether the journal is a file of ours rather than Kafka."""
        return self.broker.startswith(EMBEDDED)

    @property
    def journal_dir(self) -> Path:
        """Where the embedded journal lives."""
        return Path(self.broker.removeprefix(EMBEDDED) or "tocsin-data")

    @property
    def bootstrap(self) -> list[str]:
        """Kafka's addresses as host:port."""
        return [
            server
            for server in self.broker.removeprefix(KAFKA).replace(";", ",").split(",")
            if server
        ]


def from_environment(environ: Mapping[str, str] = os.environ) -> Settings:
    """Settings from TOCSIN_* variables. Raises BadSettings."""
    defaults = Settings()
    kafka = _kafka_security(environ)  # which knows best what is wrong with its own names
    unknown = unknown_name(name for name in environ if environ[name])
    if unknown:
        raise BadSettings(unknown)
    settings = Settings(
        broker=environ.get("TOCSIN_BROKER", defaults.broker),
        kafka=kafka,
        policy_file=environ.get("TOCSIN_POLICY", defaults.policy_file),
        receivers_file=environ.get("TOCSIN_RECEIVERS", defaults.receivers_file),
        link_key_file=environ.get("TOCSIN_LINK_KEY", defaults.link_key_file),
        pagerduty_key_file=environ.get("TOCSIN_PAGERDUTY_KEY", defaults.pagerduty_key_file),
        sns_topics=_sns_topics(environ.get("TOCSIN_SNS_TOPICS", "")),
        sns_confirm=_read_flag(environ, "TOCSIN_SNS_CONFIRM"),
        prefix=environ.get("TOCSIN_PREFIX", defaults.prefix),
        partitions=_read_integer(
            environ, "TOCSIN_PARTITIONS", defaults.partitions, 1, PARTITIONS_MAX
        ),
        replication=_read_integer(environ, "TOCSIN_REPLICATION", defaults.replication, 1, 15),
        epoch=_read_integer(environ, "TOCSIN_EPOCH", defaults.epoch, 0, 10**12),
        host=environ.get("TOCSIN_HOST")
        or defaults.host,  # to asyncio an empty one is every address
        port=_read_integer(environ, "TOCSIN_PORT", defaults.port, 0, 65535),
        http=_http_security(environ),
        metrics_port=_read_integer(environ, "TOCSIN_METRICS_PORT", defaults.metrics_port, 0, 65535),
        instance=environ.get("TOCSIN_INSTANCE", defaults.instance),
        checkpoint_ms=_read_integer(
            environ, "TOCSIN_CHECKPOINT_MS", defaults.checkpoint_ms, 0, 60_000
        ),
        heartbeat_url=_heartbeat_url(environ.get("TOCSIN_HEARTBEAT_URL", "")),
        log_format=_log_format(environ.get("TOCSIN_LOG_FORMAT", "")),
        **_clock(environ.get("TOCSIN_CLOCK", defaults.clock)),
    )
    if not _PREFIX.fullmatch(settings.prefix):
        message = f"TOCSIN_PREFIX is {settings.prefix!r:.100}, must be 1 to 200 letters, digits, dots, dashes and underscores"
        raise BadSettings(f"{message}, the first a letter or a digit")
    if "@" in settings.broker and not settings.embedded:
        raise BadSettings(
            "TOCSIN_BROKER has an @ in it: users and passwords are TOCSIN_KAFKA_USER and TOCSIN_KAFKA_PASSWORD_FILE"
        )
    if not settings.embedded and not (
        settings.broker.startswith(KAFKA) and _are_addresses(settings.bootstrap)
    ):
        raise BadSettings(
            f"TOCSIN_BROKER is {settings.broker!r}, must be embedded:DIRECTORY or kafka://HOST:PORT[;HOST:PORT]"
        )
    if settings.embedded and settings.kafka != KafkaSecurity():
        raise BadSettings(
            f"TOCSIN_KAFKA_SECURITY is {settings.kafka.protocol}, but TOCSIN_BROKER is {settings.broker!r}, must be kafka://..."
        )
    if settings.clock == "driven" and not settings.embedded:
        raise BadSettings(
            "TOCSIN_CLOCK is driven, which only an embedded: broker can be; Kafka has the broker's clock"
        )
    return settings


class _ClockSettings(TypedDict):
    clock: str
    clock_begins_ms: int


def _clock(text: str) -> _ClockSettings:
    kind, colon, begins = text.partition(":")
    is_time = begins.isascii() and begins.isdecimal() and len(begins) <= CLOCK_DIGITS
    is_time = is_time and int(begins) > 0
    if kind not in ("system", "driven") or (colon and not (kind == "driven" and is_time)):
        raise BadSettings(
            f"TOCSIN_CLOCK is {text!r:.100}, must be system, driven, or driven:MS with milliseconds since 1970, 1 or more"
        )
    return {"clock": kind, "clock_begins_ms": int(begins or 1)}


def _log_format(text: str) -> LogFormat:
    try:
        return LogFormat(text or LogFormat.TEXT)
    except ValueError:
        known = " or ".join(LogFormat)
        raise BadSettings(f"TOCSIN_LOG_FORMAT is {text!r:.100}, must be {known}") from None


def _heartbeat_url(text: str) -> str:
    parts = urlsplit(text)
    if text and not (parts.scheme in ("http", "https") and parts.hostname and text.isprintable()):
        # It is not shown: such addresses are secrets.
        raise BadSettings("TOCSIN_HEARTBEAT_URL must be an address such as https://HOST/PATH")
    return text


def _are_addresses(servers: Sequence[str]) -> bool:
    places = [server.rpartition(":") for server in servers]
    return bool(places) and all(
        host and port.isdecimal() and int(port) <= 65535 for host, _, port in places
    )


def _read_integer(
    environ: Mapping[str, str], name: str, default: int, lowest: int, highest: int
) -> int:
    text = environ.get(name)
    if text is None or text == "":
        return default
    try:
        number = int(text)
    except ValueError:
        number = lowest - 1
    if not lowest <= number <= highest:
        raise BadSettings(f"{name} is {text!r}, must be a whole number from {lowest} to {highest}")
    return number


def _sns_topics(text: str) -> tuple[str, ...]:
    """The topics, with commas between them. Raises BadSettings."""
    topics = tuple(part.strip() for part in text.split(",") if part.strip())
    for topic in topics:
        if not _SNS_TOPIC.fullmatch(topic):
            raise BadSettings(
                f"TOCSIN_SNS_TOPICS has {topic!r:.100}, must be such as"
                " arn:aws:sns:eu-west-1:123456789012:alarms"
            )
    return topics


def _http_security(environ: Mapping[str, str]) -> HttpSecurity:
    defaults = HttpSecurity()
    security = HttpSecurity(
        tokens_file=environ.get("TOCSIN_TOKENS", ""),
        cert_file=environ.get("TOCSIN_TLS_CERT", ""),
        key_file=environ.get("TOCSIN_TLS_KEY", ""),
        client_ca_file=environ.get("TOCSIN_TLS_CLIENT_CA", ""),
        insecure=_read_flag(environ, "TOCSIN_INSECURE"),
        allowed_hosts=_host_names(environ.get("TOCSIN_ALLOWED_HOSTS", "")),
        user_header=_header_name(environ.get("TOCSIN_TRUST_USER_HEADER", "")),
        proxies=_networks(environ.get("TOCSIN_TRUSTED_PROXIES", "")),
        route_prefix=_route_prefix(environ.get("TOCSIN_ROUTE_PREFIX", "")),
        requests=_read_integer(environ, "TOCSIN_SENDER_REQUESTS", defaults.requests, 0, 1_000_000),
        alerts=_read_integer(environ, "TOCSIN_SENDER_ALERTS", defaults.alerts, 0, 100_000_000),
        connections=_read_integer(
            environ, "TOCSIN_CONNECTIONS", defaults.connections, 2, 1_000_000
        ),
    )
    if bool(security.cert_file) != bool(security.key_file):
        here, missing = ("CERT", "KEY") if security.cert_file else ("KEY", "CERT")
        raise BadSettings(
            f"TOCSIN_TLS_{here} is set, but TOCSIN_TLS_{missing} is not; must be both or none"
        )
    if bool(security.user_header) != bool(security.proxies):
        raise BadSettings(
            "TOCSIN_TRUST_USER_HEADER and TOCSIN_TRUSTED_PROXIES must be set both or none: whoever"
            " reaches the bridge could write the header"
        )
    if security.client_ca_file and not security.cert_file:
        raise BadSettings(
            "TOCSIN_TLS_CLIENT_CA is set, but TOCSIN_TLS_CERT is not, without which nobody is asked for one"
        )
    if security.insecure and security.identified:
        raise BadSettings(
            "TOCSIN_INSECURE is yes, but TOCSIN_TOKENS or TOCSIN_TLS_CLIENT_CA is set; must be one or the other"
        )
    return security


def _host_names(text: str) -> tuple[str, ...]:
    names = [name.strip().lower() for name in text.split(",") if name.strip()]
    for name in names:
        if not _HOST_NAME.fullmatch(name):
            raise BadSettings(
                f"TOCSIN_ALLOWED_HOSTS has {name!r:.100}, must be names such as tocsin.example.org,"
                " without ports, with commas between"
            )
    return tuple(names)


def _header_name(text: str) -> str:
    name = text.strip()
    if name and not _HEADER_NAME.fullmatch(name):
        raise BadSettings(
            f"TOCSIN_TRUST_USER_HEADER is {text!r:.100}, must be the name of a header such as"
            " X-Forwarded-User"
        )
    return name


def _networks(text: str) -> tuple[str, ...]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        try:
            ipaddress.ip_network(name)
        except ValueError:
            raise BadSettings(
                f"TOCSIN_TRUSTED_PROXIES has {name!r:.100}, must be addresses or networks such as"
                " 10.0.0.0/8, with commas between"
            ) from None
    return tuple(names)


def _route_prefix(text: str) -> str:
    prefix = text.rstrip("/")
    if prefix and not _ROUTE_PREFIX.fullmatch(prefix):
        raise BadSettings(
            f"TOCSIN_ROUTE_PREFIX is {text!r:.100}, must be a path such as /tocsin: letters, digits"
            " and signs of ._~-, each part behind a slash"
        )
    return prefix


def _read_flag(environ: Mapping[str, str], name: str) -> bool:
    value = environ.get(name) or "no"
    if value not in ("yes", "no"):
        raise BadSettings(f"{name} is {value!r}, must be yes or no")
    return value == "yes"


def check_reach(settings: Settings) -> None:
    """Refuse to listen where others can reach a bridge, or metrics, that ask nobody who they are.

    Raises BadSettings.
    """
    if not (settings.http.identified or settings.http.insecure or is_loopback(settings.host)):
        raise BadSettings(
            f"TOCSIN_HOST is {settings.host!r}, where others can reach Tocsin, and it asks nobody who they are; must be "
            "127.0.0.1, or TOCSIN_TOKENS a file of tokens (SECURITY.md), or TOCSIN_INSECURE=yes among friends"
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address.

    A name other than localhost may be anybody's.
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass(frozen=True, slots=True)
class BridgeReach:
    """How the commands reach a bridge."""

    url: str  # TOCSIN_URL: by default the bridge of this environment's TOCSIN_HOST and TOCSIN_PORT
    token_file: str = (
        ""  # TOCSIN_TOKEN_FILE: one line, the token; rather than the variable, which others may see
    )
    token: str = field(default="", repr=False)  # TOCSIN_TOKEN
    ca_file: str = (
        ""  # TOCSIN_CA_FILE: PEM; who vouches for the bridge. Empty is whom this machine trusts
    )
    cert_file: str = ""  # TOCSIN_CERT_FILE: PEM; ours, where the bridge asks for one
    key_file: str = ""  # TOCSIN_KEY_FILE: PEM; its key


def reach_from_environment(environ: Mapping[str, str] = os.environ) -> BridgeReach:
    """How to reach the bridge, from TOCSIN_* variables. Raises BadSettings."""
    settings = from_environment(environ)
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    url = f"{'https' if settings.http.cert_file else 'http'}://{host}:{settings.port}"
    files = {
        name: environ.get(f"TOCSIN_{name.upper()}", "")
        for name in ("token_file", "ca_file", "cert_file", "key_file")
    }
    reach = BridgeReach(
        (environ.get("TOCSIN_URL") or url).rstrip("/"),
        token=environ.get("TOCSIN_TOKEN", ""),
        **files,
    )
    scheme = reach.url.partition("://")[0]
    if scheme not in ("http", "https") or "@" in reach.url:
        raise BadSettings(
            "TOCSIN_URL must be such as https://tocsin.example:9099, without a user or a password"
        )
    if reach.token and reach.token_file:
        raise BadSettings("TOCSIN_TOKEN and TOCSIN_TOKEN_FILE are both set, must be one of them")
    if bool(reach.cert_file) != bool(reach.key_file):
        raise BadSettings(
            "one of TOCSIN_CERT_FILE and TOCSIN_KEY_FILE is set, must be both or none"
        )
    if scheme == "http" and (reach.ca_file or reach.cert_file):
        raise BadSettings(
            f"TOCSIN_CA_FILE or TOCSIN_CERT_FILE is set, but {reach.url} uses no TLS (TOCSIN_URL)"
        )
    return reach


_KAFKA = "TOCSIN_KAFKA_"
_PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_SSL", "SASL_PLAINTEXT")
_MECHANISMS = ("SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN")
_TLS = ("CA_FILE", "CERT_FILE", "KEY_FILE")
_SASL = ("MECHANISM", "USER", "PASSWORD_FILE", "PASSWORD", "UNENCRYPTED")


def _kafka_security(environ: Mapping[str, str]) -> KafkaSecurity:
    given = {
        name.removeprefix(_KAFKA): value
        for name, value in environ.items()
        if name.startswith(_KAFKA) and value
    }
    unknown = sorted(given.keys() - {"SECURITY", *_TLS, *_SASL})
    if unknown:
        known = ", ".join(["SECURITY", *_TLS, *_SASL])
        raise BadSettings(
            f"{_KAFKA}{unknown[0]} is no setting, must be {_KAFKA} and one of {known}"
        )
    security = KafkaSecurity(
        protocol=_one_of(given, "SECURITY", _PROTOCOLS),
        mechanism=_one_of(given, "MECHANISM", _MECHANISMS),
        **{
            name.lower(): given.get(name, "")
            for name in (*_TLS, "USER", "PASSWORD_FILE", "PASSWORD")
        },
    )
    problem = _half_a_setting(security, given) or _weak_setting(security, given)
    if problem:
        raise BadSettings(f"{_KAFKA}{problem}")
    return security


def _one_of(given: Mapping[str, str], name: str, known: tuple[str, ...]) -> str:
    value = given.get(name, known[0])
    if value not in known:
        raise BadSettings(
            f"{_KAFKA}{name} is {value!r}, must be {', '.join(known[:-1])} or {known[-1]}"
        )
    return value


def _half_a_setting(security: KafkaSecurity, given: Mapping[str, str]) -> str:
    """What is set and not used, or used and not set.

    Empty when all is well. Values are not told: one is a password.
    """
    protocol = security.protocol
    for names, used, instead in (
        (_TLS, security.tls, "SSL or SASL_SSL"),
        (_SASL, security.sasl, "SASL_SSL"),
    ):
        unused = [name for name in names if name in given and not used]
        if unused:
            return f"{unused[0]} is set, but {_KAFKA}SECURITY is {protocol}, which does not use it; must be {instead}"
    if bool(security.cert_file) != bool(security.key_file):
        here, missing = (
            ("CERT_FILE", "KEY_FILE") if security.cert_file else ("KEY_FILE", "CERT_FILE")
        )
        return f"{here} is set, but {_KAFKA}{missing} is not; must be both or none"
    if security.sasl and not security.user:
        return f"USER is not set, must be for {protocol}"
    if security.sasl and bool(security.password_file) == bool(security.password):
        both = "and PASSWORD are both" if security.password else "is not"
        return f"PASSWORD_FILE {both} set, must be a file with the password of {security.user!r}, or PASSWORD instead"
    return ""


def _weak_setting(security: KafkaSecurity, given: Mapping[str, str]) -> str:
    """What is unsafe and was not asked for in so many words; empty when all is well."""
    unencrypted = given.get("UNENCRYPTED", "no")
    if unencrypted not in ("yes", "no"):
        return f"UNENCRYPTED is {unencrypted!r}, must be yes or no"
    if security.protocol == "SASL_PLAINTEXT" and unencrypted != "yes":
        return (
            "SECURITY is SASL_PLAINTEXT, by which whoever is on the way reads everything, with PLAIN the password too; must be "
            f"SASL_SSL, or {_KAFKA}UNENCRYPTED=yes"
        )
    return ""
