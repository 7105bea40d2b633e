"""The demo, as somebody runs it who has nothing but a folder of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.running import ROOT


def test_the_journal_is_kept_where_it_was_asked_for(tmp_path: Path) -> None:
    """A relative folder, and a relative policy, are of the folder in which the command was given."""
    policy = (ROOT / "policies" / "default.yaml").read_text()
    (tmp_path / "mine.yaml").write_text(policy.replace("name: All hands", "name: Everybody"))
    done = subprocess.run(
        [sys.executable, "-m", "app", "demo", "--json", "--storm", "200", "--journal", "night"],
        env=os.environ | {"PYTHONPATH": str(ROOT), "TOCSIN_POLICY": "mine.yaml"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    verified = subprocess.run(
        [sys.executable, "-m", "app", "replay", "--journal", "night", "--verify", "--json", "--output", "effects"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )

    told = json.loads(done.stdout.splitlines()[-1])
    assert (told["deadletters"], told["escalations"]) == (0, 21)
    assert json.loads(verified.stdout.splitlines()[-1])["identical"] is True
    assert '"receiver":"Everybody"' in (tmp_path / "effects").read_text()
