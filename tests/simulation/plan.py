"""What happens in a run: what people and machines send, and what breaks. Drawn from the seed, as a list that can be cut.

A plan's steps are independent of each other, so a failing one is shrunk by leaving steps out.
"""

from dataclasses import dataclass
from random import Random
from typing import Any

NAMES = (
    "AgentDown",
    "ServiceDown",
    "OllamaServiceDown",
    "HighErrorRate",
    "BruteForceAttack",
    "Poison",
)
COMPONENTS = ("agent-1", "agent-2", "agent-3", "ollama", "postgres", "api")
SEVERITIES = ("critical", "high", "warning", "info")
COMMANDS = (
    *("acknowledge", "note", "escalate", "resolve", "reopen", "close", "mitigate", "update"),
    *("merge", "split"),
)
GARBAGE = (b"", b"[]", b"{}", b'{"alert":1}', b"\xff", b'{"command":[]}')
JUMPS_MS = (
    1,
    900,
    1_000,
    20_000,
    60_000,
    299_999,
    900_000,
    4_000_000,
    -60_000,
)  # a new leader's clock may be behind
SIZES = (
    10,
    10,
    10,
    30,
    60,
)  # most faults show in short runs, of which there are more in the same time
WAITS_S = (0, 0, 0.001, 0.01, 0.3, 2.0, 11.0)


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happens; `wait_s` is the virtual time that passes before it."""

    kind: str
    wait_s: float
    detail: Any = None


@dataclass(frozen=True, slots=True)
class World:
    """What does not change during a run."""

    partitions: int
    workers: int
    checkpoint_ms: int
    late: float  # how likely it is that what a killed process had sent lands after its death
    poison: bool  # the engine has a fault: it raises for alerts named Poison


@dataclass(frozen=True, slots=True)
class Plan:
    """A run that is to be made."""

    seed: int
    world: World
    steps: tuple[Step, ...]


def draw(seed: int) -> Plan:
    """The plan of a seed."""
    random = Random(seed)
    world = World(
        partitions=random.choice((1, 2, 3)),
        workers=random.choice((1, 2, 3)),
        checkpoint_ms=random.choice((0, 300, 5_000, 60_000)),
        late=random.choice((0.0, 0.9)),
        poison=random.random() < 0.25,
    )
    zombies = random.random() < 0.5
    steps = [_step(random, zombies=zombies) for _ in range(random.randint(3, random.choice(SIZES)))]
    return Plan(seed, world, tuple(steps))


def _step(random: Random, *, zombies: bool) -> Step:
    kinds = {
        "alert": 30,
        "again": 12,
        "raw": 6,
        "tick": 12,
        "jump": 12,
        "command": 6,
        "silence": 2,
        "policy": 1,
        "garbage": 2,
        "kill": 4,
        "kill_soon": 6,
        "join": 3,
        "leave": 2,
        "pause": 4 if zombies else 0,
        "resume": 4 if zombies else 0,
        "weather": 4,
        "compact": 6,
    }
    kind = random.choices(list(kinds), list(kinds.values()))[0]
    return Step(kind, random.choice(WAITS_S), _detail(random, kind))


def _detail(random: Random, kind: str) -> Any:
    match kind:
        case "alert":
            return (
                _labels(random),
                random.choice((60_000, 300_000, 7_200_000)),
                random.random() < 0.2,
            )
        case "raw":
            return [_labels(random) for _ in range(random.choice((1, 1, 3)))], random.random() < 0.2
        case "again":
            return random.random() < 0.5, random.choice((60_000, 300_000))
        case "jump":
            return random.choice(JUMPS_MS)
        case "command":
            return random.choice(COMMANDS), random.randrange(10)
        case "silence":
            return random.choice(
                ('alertname="AgentDown"', 'component=~"api|ollama"')
            ), random.choice((60_000, 3_600_000))
        case "garbage":
            return random.choice(GARBAGE)
        case "kill_soon":
            return random.randrange(30)
        case "weather":
            return random.choice((0.0, 0.0, 0.02, 0.2))
        case "compact":
            return (
                random.randrange(10),
                random.choice((0.5, 0.9, 1.0)),
                random.choice((0.3, 0.8, 1.0)),
            )
        case _:
            return random.randrange(10)


def _labels(random: Random) -> dict[str, str]:
    return {
        "alertname": random.choice(NAMES),
        "component": random.choice(COMPONENTS),
        "severity": random.choice(SEVERITIES),
    }
