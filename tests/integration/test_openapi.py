"""schemathesis against a service on the embedded journal, with `docs/openapi.yaml`."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.engines import ROOT, Tocsin

# A silence that was deleted is expired, and can be read for a while, as in Alertmanager.
EXCLUDED = "use_after_free"
EXAMPLES, SEED = 15, 7
SECONDS = 300.0  # on a busy machine; it takes 20


@pytest.mark.skipif(
    shutil.which("schemathesis", path=str(Path(sys.executable).parent)) is None,
    reason="schemathesis is missing: pip install -e '.[schema]'",
)
def test_the_specification_holds(tmp_path: Path) -> None:
    """No request makes the server fail; what it takes and answers is what the document says."""
    service = Tocsin(
        "up", TOCSIN_BROKER=f"embedded:{tmp_path / 'journal'}", TOCSIN_SENDER_REQUESTS="100000"
    )
    command = [str(Path(sys.executable).parent / "schemathesis"), "run"]
    command += [str(ROOT / "docs" / "openapi.yaml"), "--url", service.url, "--no-color"]
    command += ["--seed", str(SEED), "--max-examples", str(EXAMPLES)]
    command += ["--generation-database", "none", "--exclude-checks", EXCLUDED]
    environment = os.environ | {
        "SCHEMATHESIS_HOOKS": "tests.integration.openapi_formats",
        "PYTHONPATH": str(ROOT),
    }

    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=environment,
        timeout=SECONDS,
    )
    service.stop()

    assert done.returncode == 0, done.stdout
    assert "9 selected / 9 total" in done.stdout
