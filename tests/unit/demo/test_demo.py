"""The demo, as somebody runs it who has nothing but a folder of their own."""

import json
from pathlib import Path

import pytest

from app.cli.main import main
from tests.support.engines import ROOT


@pytest.mark.slow
def test_the_journal_is_kept_where_it_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A relative folder, and a relative policy, are of the folder in which the command was given.

    The service has another.
    """
    policy = (ROOT / "policies" / "default.yaml").read_text()
    (tmp_path / "mine.yaml").write_text(policy.replace("name: All hands", "name: Everybody"))
    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as asked:
        asked.setenv("TOCSIN_POLICY", "mine.yaml")
        assert main(["demo", "--json", "--storm", "200", "--journal", "night"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert main(["replay", "--journal", "night", "--verify", "--json", "--output", "effects"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])

    assert (told["deadletters"], told["escalations"]) == (0, 21)
    assert found["identical"] is True
    assert '"receiver":"Everybody"' in (tmp_path / "effects").read_text()
