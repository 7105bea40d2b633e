"""Write constraints.txt anew, with the newest versions that pyproject.toml allows: `make constraints`.

pip resolves for the Python that runs this, without installing anything.
"""

import json
import subprocess
import sys
from pathlib import Path

PATH = Path(__file__).parents[1] / "constraints.txt"
EXTRAS = "dev,fuzz,audit,manifests,schema,sns"
# These have no version that every supported Python can install; pyproject.toml bounds them.
FREE = {"atheris"}
HEADER = """\
# The exact versions that make, CI and the image install. Written by `make constraints`.
"""


def main() -> None:
    """Resolve, and write the file."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--dry-run", "--ignore-installed", "--report", "-", f".[{EXTRAS}]"]
    answer = subprocess.run(command, cwd=PATH.parent, check=True, stdout=subprocess.PIPE)
    packages = [entry["metadata"] for entry in json.loads(answer.stdout)["install"]]
    lines = {
        package["name"].lower().replace("_", "-"): package["version"]
        for package in packages
        if package["name"] not in FREE | {"tocsin"}
    }
    PATH.write_text(HEADER + "".join(f"{name}=={lines[name]}\n" for name in sorted(lines)))


if __name__ == "__main__":
    main()
