"""The bench that counts how many repeats in a row a journal record could stand for."""

from bench.repeat_runs import RUN_MAX, Runs
from bench.workload import Raw

ALERT = Raw("repeat", b"api", b'{"labels":{"alertname":"Down","severity":"warning"}}')
URGENT = Raw("repeat", b"api", b'{"labels":{"alertname":"Down","severity":"critical"}}')
NEWS = Raw("new", b"api", b'{"labels":{"alertname":"Slow","severity":"warning"}}')


def _count(raws: list[Raw], batch: int = 10_000, *, urgent_whole: bool = False) -> Runs:
    runs = Runs(batch, urgent_whole=urgent_whole)
    for raw in raws:
        runs.add(raw, counts=True)
    return runs


def test_first_two_sendings_are_whole() -> None:
    """The third sending of an alert is the first that is a reference."""
    runs = _count([ALERT] * 5)

    assert (runs.whole, runs.references, runs.runs) == (2, 3, 1)


def test_news_ends_a_run() -> None:
    """Repeats before and after news of their partition are two records."""
    runs = _count([ALERT] * 4 + [NEWS] + [ALERT] * 2)

    assert (runs.whole, runs.references, runs.runs) == (3, 4, 2)


def test_batch_ends_a_run() -> None:
    """Repeats of two batches are two records."""
    runs = _count([ALERT] * 8, batch=4)

    assert (runs.references, runs.runs) == (6, 2)


def test_run_is_bounded() -> None:
    """A record stands for RUN_MAX repeats at most."""
    runs = _count([ALERT] * (2 + RUN_MAX + 1))

    assert (runs.references, runs.runs) == (RUN_MAX + 1, 2)


def test_urgent_alerts_stay_whole_on_request() -> None:
    """P0 is a reference only where urgent alerts need not stay whole."""
    assert _count([URGENT] * 5).references == 3
    assert _count([URGENT] * 5, urgent_whole=True).references == 0
