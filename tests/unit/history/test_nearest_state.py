"""From which state the way to an offset is the shortest."""

import asyncio

from app.history.nearest_state import NearestState
from app.history.source import Source
from app.settings import Settings
from app.transport.log import NewRecord
from models.topics import Topics
from tests.support.fake_log import FakeLog
from tests.support.played_journals import Player
from tests.support.scenario import START_MS, alert_record
from tests.support.shipped_policy import shipped

CONFIG = Settings(partitions=1, checkpoint_ms=0)
JOURNAL = Topics().journal
ALERTS = 1500


def test_news_is_not_applied_again_where_a_checkpoint_has_it() -> None:
    """An incident of many alerts is explained from the newest checkpoint: each of its alerts is dear to apply."""
    log = FakeLog(START_MS)

    async def play() -> int:
        player = Player(log, CONFIG, shipped(), lambda _: None)
        await player.start()
        for number in range(ALERTS):
            labels = {"alertname": f"A{number}", "component": "api", "severity": "warning"}
            record = alert_record(START_MS, labels, "api")
            await player.append(0, [NewRecord(record.key, record.value)])
            if number % 500 == 0:
                await player.settled()
        await player.stop()
        log.reads.clear()
        end = await log.end_offset(JOURNAL, 0)
        state = NearestState(Source(log, CONFIG, "the log"), shipped)
        known, _ = await state.use(0, end, lambda engine: len(engine.state.alerts))
        return known

    known = asyncio.run(play())

    applied = [number for topic, _, _, number in log.reads if topic == JOURNAL]
    assert known == ALERTS
    assert sum(applied) < ALERTS // 2
