"""What it costs to start `tocsin`: processor time, as a ratio to what Python needs for the same modules.

    python bench/startup.py [--runs 10] [--max 4] [COMMAND ...]

Prints one line of JSON for each command. The status is 1 if a ratio is above `--max`.
"""

import argparse
import json
import resource
import subprocess
import sys

BASELINE = ["-c", "import argparse, json, urllib.request"]
COMMANDS = ("ack --help", "incidents list --help", "silence add --help", "--help")


def processor_seconds(arguments: list[str], runs: int) -> float:
    """The median processor time of a Python process, user and system, in seconds."""
    spent = []
    for _ in range(runs):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        user, system = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
        spent.append(user + system)
    return sorted(spent)[runs // 2]


def main() -> int:
    """Measure; 1 if a command is too slow."""
    parser = argparse.ArgumentParser(description="measure how long tocsin takes to start")
    parser.add_argument("commands", nargs="*", default=COMMANDS, metavar="COMMAND")
    parser.add_argument("--runs", type=int, default=10, help="of each command (10)")
    parser.add_argument("--max", type=float, default=0.0, help="the highest ratio (none)")
    arguments = parser.parse_args()
    baseline = processor_seconds(BASELINE, arguments.runs)
    worst = 0.0
    for command in arguments.commands:
        seconds = processor_seconds(["-m", "app", *command.split()], arguments.runs)
        worst = max(worst, seconds / baseline)
        row = {
            "command": f"tocsin {command}",
            "seconds": round(seconds, 3),
            "baseline_seconds": round(baseline, 3),
            "ratio": round(seconds / baseline, 2),
        }
        print(json.dumps(row))
    return int(0 < arguments.max < worst)


if __name__ == "__main__":
    sys.exit(main())
