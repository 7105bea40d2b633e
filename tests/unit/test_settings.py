"""Settings: what the environment says, and what it must not leave half said."""

import os
import re
from pathlib import Path

import pytest

from app.settings import BadSettings, KafkaSecurity, Settings, from_environment
from app.transport.security import SECRET_BYTES_MAX, client_settings
from models.setting_names import NAMES

BROKER = {"TOCSIN_BROKER": "kafka://127.0.0.1:9092"}
SECRET = "correct horse battery staple"
SCRAM = {"SECURITY": "SASL_SSL", "USER": "tocsin", "PASSWORD": SECRET}


def kafka(**variables: str) -> KafkaSecurity:
    """What is made of TOCSIN_KAFKA_*."""
    return from_environment(
        BROKER | {f"TOCSIN_KAFKA_{name}": value for name, value in variables.items()}
    ).kafka


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, KafkaSecurity()),
        ({"SECURITY": "", "USER": ""}, KafkaSecurity()),
        ({"SECURITY": "SSL"}, KafkaSecurity(protocol="SSL")),
        (
            {"SECURITY": "SSL", "CA_FILE": "ca", "CERT_FILE": "c", "KEY_FILE": "k"},
            KafkaSecurity(protocol="SSL", ca_file="ca", cert_file="c", key_file="k"),
        ),
        (SCRAM, KafkaSecurity(protocol="SASL_SSL", user="tocsin", password=SECRET)),
        (
            {
                "SECURITY": "SASL_SSL",
                "USER": "t",
                "PASSWORD_FILE": "p",
                "MECHANISM": "PLAIN",
                "CA_FILE": "ca",
            },
            KafkaSecurity(
                protocol="SASL_SSL", user="t", password_file="p", mechanism="PLAIN", ca_file="ca"
            ),
        ),
        (
            {"SECURITY": "SASL_PLAINTEXT", "USER": "t", "PASSWORD_FILE": "p", "UNENCRYPTED": "yes"},
            KafkaSecurity(protocol="SASL_PLAINTEXT", user="t", password_file="p"),
        ),
    ],
)
def test_security_is_whole(variables: dict[str, str], expected: KafkaSecurity) -> None:
    """Each way to reach Kafka, from what it takes at least to all there is."""
    assert kafka(**variables) == expected


_UNUSED = "which does not use it; must be"


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        (
            {"SECURITY": "TLS"},
            "SECURITY is 'TLS', must be PLAINTEXT, SSL, SASL_SSL or SASL_PLAINTEXT",
        ),
        (
            SCRAM | {"MECHANISM": "GSSAPI"},
            "MECHANISM is 'GSSAPI', must be SCRAM-SHA-512, SCRAM-SHA-256 or PLAIN",
        ),
        (
            {"USER": "tocsin"},
            f"USER is set, but TOCSIN_KAFKA_SECURITY is PLAINTEXT, {_UNUSED} SASL_SSL",
        ),
        (
            {"PASSWORD": SECRET},
            f"PASSWORD is set, but TOCSIN_KAFKA_SECURITY is PLAINTEXT, {_UNUSED} SASL_SSL",
        ),
        (
            {"CA_FILE": "x"},
            f"CA_FILE is set, but TOCSIN_KAFKA_SECURITY is PLAINTEXT, {_UNUSED} SSL or SASL_SSL",
        ),
        (
            {"SECURITY": "SSL", "PASSWORD_FILE": "x"},
            f"PASSWORD_FILE is set, but TOCSIN_KAFKA_SECURITY is SSL, {_UNUSED} SASL_SSL",
        ),
        (
            {"SECURITY": "SSL", "CERT_FILE": "x"},
            "CERT_FILE is set, but TOCSIN_KAFKA_KEY_FILE is not; must be both or none",
        ),
        (
            {"SECURITY": "SSL", "KEY_FILE": "x"},
            "KEY_FILE is set, but TOCSIN_KAFKA_CERT_FILE is not; must be both or none",
        ),
        ({"SECURITY": "SASL_SSL", "PASSWORD": SECRET}, "USER is not set, must be for SASL_SSL"),
        (
            {"SECURITY": "SASL_SSL", "USER": "tocsin"},
            "PASSWORD_FILE is not set, must be a file with the password of 'tocsin', or PASSWORD instead",
        ),
        (
            SCRAM | {"PASSWORD_FILE": "x"},
            "PASSWORD_FILE and PASSWORD are both set, must be a file with the password of 'tocsin', or PASSWORD instead",
        ),
        (
            SCRAM | {"SECURITY": "SASL_PLAINTEXT"},
            (
                "SECURITY is SASL_PLAINTEXT, by which whoever is on the way reads everything, with PLAIN the password too; "
                "must be SASL_SSL, or TOCSIN_KAFKA_UNENCRYPTED=yes"
            ),
        ),
        (SCRAM | {"UNENCRYPTED": "true"}, "UNENCRYPTED is 'true', must be yes or no"),
        (
            {"CAFILE": "x"},
            (
                "CAFILE is no setting, must be TOCSIN_KAFKA_ and one of SECURITY, CA_FILE, CERT_FILE, KEY_FILE, MECHANISM, "
                "USER, PASSWORD_FILE, PASSWORD, UNENCRYPTED"
            ),
        ),
    ],
)
def test_half_a_security_is_refused(variables: dict[str, str], expected: str) -> None:
    """The message names what was found and what is expected, and never the password."""
    with pytest.raises(BadSettings) as refused:
        kafka(**variables)

    assert str(refused.value) == f"TOCSIN_KAFKA_{expected}"


@pytest.mark.parametrize(
    ("broker", "expected"),
    [
        (
            "redis://x",
            "TOCSIN_BROKER is 'redis://x', must be embedded:DIRECTORY or kafka://HOST:PORT[;HOST:PORT]",
        ),
        (
            "kafka://",
            "TOCSIN_BROKER is 'kafka://', must be embedded:DIRECTORY or kafka://HOST:PORT[;HOST:PORT]",
        ),
        (
            "kafka://h",
            "TOCSIN_BROKER is 'kafka://h', must be embedded:DIRECTORY or kafka://HOST:PORT[;HOST:PORT]",
        ),
        (
            "kafka://h:x",
            "TOCSIN_BROKER is 'kafka://h:x', must be embedded:DIRECTORY or kafka://HOST:PORT[;HOST:PORT]",
        ),
        (
            f"kafka://tocsin:{SECRET}@h:1",
            "TOCSIN_BROKER has an @ in it: users and passwords are TOCSIN_KAFKA_USER and TOCSIN_KAFKA_PASSWORD_FILE",
        ),
    ],
)
def test_brokers_that_are_none(broker: str, expected: str) -> None:
    """Hosts and ports, and nothing else; a password in there is not told to anybody."""
    with pytest.raises(BadSettings) as refused:
        from_environment({"TOCSIN_BROKER": broker})

    assert str(refused.value) == expected


def test_an_embedded_journal_has_no_kafka_security() -> None:
    """Whoever sets it means Kafka, and has forgotten to say so."""
    with pytest.raises(
        BadSettings, match=r"^TOCSIN_KAFKA_SECURITY is SASL_SSL, but TOCSIN_BROKER is 'embedded:"
    ):
        from_environment({f"TOCSIN_KAFKA_{name}": value for name, value in SCRAM.items()})


def test_settings_keep_the_password_to_themselves() -> None:
    """Whatever logs or shows the settings does not show it."""
    settings = Settings(kafka=kafka(**SCRAM))

    assert SECRET not in f"{settings!r} {settings} {settings.kafka!r}"
    assert settings.kafka.password == SECRET


@pytest.mark.parametrize(
    ("content", "password"), [(b"secret\n", "secret"), (b"se cret\r\n", "se cret"), (b"x", "x")]
)
def test_a_password_from_a_file(tmp_path: Path, content: bytes, password: str) -> None:
    """One line; the end of the line is not part of it."""
    file = tmp_path / "password"
    file.write_bytes(content)
    security = KafkaSecurity("SASL_PLAINTEXT", user="tocsin", password_file=str(file))

    assert client_settings(security) == {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "tocsin",
        "sasl_plain_password": password,
    }


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "must be one line with the password, of at most 4096 bytes"),
        (b"\n", "must be one line with the password, of at most 4096 bytes"),
        (b"secret\nsecret\n", "must be one line with the password, of at most 4096 bytes"),
        (b"sec\0ret", "must be one line with the password, of at most 4096 bytes"),
        (
            b"x" * (SECRET_BYTES_MAX + 1),
            "must be one line with the password, of at most 4096 bytes",
        ),
        (b"\xff", "must be UTF-8"),
    ],
)
def test_a_file_without_a_password(tmp_path: Path, content: bytes, expected: str) -> None:
    """It is refused without a word of what it has."""
    file = tmp_path / "password"
    file.write_bytes(content)

    with pytest.raises(BadSettings) as refused:
        client_settings(KafkaSecurity("SASL_SSL", user="tocsin", password_file=str(file)))

    assert str(refused.value) == f"TOCSIN_KAFKA_PASSWORD_FILE is {str(file)!r}, {expected}"


@pytest.mark.parametrize(
    ("name", "file", "expected"),
    [
        ("password_file", "missing", "which cannot be read: No such file or directory"),
        ("password_file", os.devnull, "must be one line with the password, of at most 4096 bytes"),
        ("password_file", "/dev/zero", "must be one line with the password, of at most 4096 bytes"),
        ("password_file", "/", "which cannot be read: Is a directory"),
        ("ca_file", "missing", "which cannot be read: No such file or directory"),
        ("ca_file", os.devnull, "must be PEM that OpenSSL takes: NO_CERTIFICATE_OR_CRL_FOUND"),
        ("ca_file", __file__, "must be PEM that OpenSSL takes: NO_CERTIFICATE_OR_CRL_FOUND"),
    ],
)
def test_files_that_cannot_be_used(name: str, file: str, expected: str) -> None:
    """The message has the variable, the file, and what is wrong with it."""
    given = {"password": "" if name == "password_file" else SECRET, name: file}

    with pytest.raises(BadSettings) as refused:
        client_settings(KafkaSecurity("SASL_SSL", user="tocsin", **given))

    assert str(refused.value) == f"TOCSIN_KAFKA_{name.upper()} is {file!r}, {expected}"


def test_a_driven_clock_may_begin_at_a_time() -> None:
    """The demo's journal begins where its day begins, and not in 1970."""
    settings = from_environment({"TOCSIN_CLOCK": "driven:1790496000000"})

    assert (settings.clock, settings.clock_begins_ms) == ("driven", 1_790_496_000_000)


def test_a_driven_clock_begins_after_zero() -> None:
    """For the engine, 0 is a time that never was: a message at 0 would be due for ever."""
    settings = from_environment({"TOCSIN_CLOCK": "driven"})

    assert settings.clock_begins_ms == 1


@pytest.mark.parametrize(
    "text", ["driven:", "driven:soon", "driven:0", "system:5", "sundial", "driven:" + "9" * 16]
)
def test_a_clock_that_is_none_is_refused(text: str) -> None:
    """What is found and what is expected is told."""
    with pytest.raises(BadSettings, match="must be system, driven, or driven:MS"):
        from_environment({"TOCSIN_CLOCK": text})


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("TOCSIN_TOKENZ", "; did you mean 'TOCSIN_TOKENS'?"),
        ("TOCSIN_HOSTS", "; did you mean 'TOCSIN_HOST'?"),
        ("TOCSIN_", ""),
        ("TOCSIN_tokens", "; did you mean 'TOCSIN_TOKENS'?"),
        ("TOCSIN_SERVICE", ""),
    ],
)
def test_an_unknown_name_is_refused(name: str, expected: str) -> None:
    """With the nearest one: a typing mistake in TOCSIN_TOKENS would open the bridge."""
    with pytest.raises(BadSettings) as refused:
        from_environment({name: "x"})

    text = str(refused.value)
    assert text.startswith(f"{name} is no setting (docs/SETTINGS.md)")
    assert text.endswith(expected or "SETTINGS.md)") or "did you mean" in text


@pytest.mark.parametrize(
    "name",
    [
        "TOCSIN_SERVICE_HOST",
        "TOCSIN_SERVICE_PORT_HTTP",
        "TOCSIN_PORT_9099_TCP_ADDR",
        "TOCSIN_BRIDGE_SERVICE_PORT",
        "OTHER_TOKENZ",
    ],
)
def test_names_that_others_set_are_left_alone(name: str) -> None:
    """Kubernetes sets such ones for a service of our name, and an empty value is none."""
    assert from_environment({name: "x", "TOCSIN_TOKENZ": ""}) == Settings()


def test_every_setting_is_documented() -> None:
    """`docs/SETTINGS.md` has each name, and no other."""
    text = (Path(__file__).parents[2] / "docs" / "SETTINGS.md").read_text()
    table = text[text.index("| `TOCSIN_KAFKA_...`") :]
    kafka = {f"TOCSIN_KAFKA_{name}" for name in re.findall(r"`([A-Z_]+)(?:=yes)?`", table)}
    others = set(re.findall(r"`(TOCSIN_[A-Z_]+)", text)) - {"TOCSIN_", "TOCSIN_KAFKA_"}
    values = {name for name in kafka if name.endswith(("_PLAINTEXT", "_SSL", "PLAIN"))}

    assert others | (kafka - values) == NAMES


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("TOCSIN_ROUTE_PREFIX", "tocsin", "must be a path such as /tocsin"),
        ("TOCSIN_ROUTE_PREFIX", "/a/../b", "must be a path such as /tocsin"),
        ("TOCSIN_ROUTE_PREFIX", "/a b", "must be a path such as /tocsin"),
        ("TOCSIN_SNS_TOPICS", "alarms", "must be such as arn:aws:sns:"),
        ("TOCSIN_SNS_CONFIRM", "perhaps", "TOCSIN_SNS_CONFIRM"),
        ("TOCSIN_ALLOWED_HOSTS", "a.example:9099", "must be names such as"),
        ("TOCSIN_ALLOWED_HOSTS", "https://a.example", "must be names such as"),
        ("TOCSIN_LOG_FORMAT", "yaml", "is 'yaml', must be text or json"),
    ],
)
def test_a_value_of_another_form_is_refused(name: str, text: str, expected: str) -> None:
    """The message names what was found."""
    with pytest.raises(BadSettings, match=expected):
        from_environment({name: text})


def test_prefix_and_hosts_are_read() -> None:
    """A slash behind the prefix is left out, and names are compared in small letters."""
    given = {"TOCSIN_ROUTE_PREFIX": "/ops/tocsin/", "TOCSIN_ALLOWED_HOSTS": "A.example, b"}

    http = from_environment(given).http

    assert (http.route_prefix, http.allowed_hosts) == ("/ops/tocsin", ("a.example", "b"))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"TOCSIN_TRUST_USER_HEADER": "X-User"}, "must be set both or none"),
        ({"TOCSIN_TRUSTED_PROXIES": "10.0.0.0/8"}, "must be set both or none"),
        (
            {"TOCSIN_TRUST_USER_HEADER": "X User", "TOCSIN_TRUSTED_PROXIES": "10.0.0.1"},
            "must be the name of a header",
        ),
        (
            {"TOCSIN_TRUST_USER_HEADER": "X-User", "TOCSIN_TRUSTED_PROXIES": "10.0.0.1/8"},
            "must be addresses or networks",
        ),
        (
            {"TOCSIN_TRUST_USER_HEADER": "X-User", "TOCSIN_TRUSTED_PROXIES": "proxy.example"},
            "must be addresses or networks",
        ),
    ],
)
def test_a_proxy_is_trusted_by_its_address(given: dict[str, str], expected: str) -> None:
    """A header without networks would be anybody's, so one is refused without the other."""
    with pytest.raises(BadSettings, match=expected):
        from_environment(given)


def test_proxies_are_read() -> None:
    """Addresses and networks, with commas between."""
    given = {
        "TOCSIN_TRUST_USER_HEADER": "X-Forwarded-User",
        "TOCSIN_TRUSTED_PROXIES": "127.0.0.1, fd00::/8",
    }

    http = from_environment(given).http

    assert (http.user_header, http.proxies) == ("X-Forwarded-User", ("127.0.0.1", "fd00::/8"))
