"""A runbook's command in which a shell would run a label's value is refused.

What is taken is tried in a real shell, with a value that would run a command.
"""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.policy.policy import PLACEHOLDER, Step
from models.text.shell import shell_danger

SAFE = [
    "kubectl logs deploy/{component}",
    "echo a'b'{component}\"c\"",
    "echo $(printf '%s' {component})",
    'echo "$HOME" {component} | grep x',
    "cat <<< {component}",
    "X={component} env",
    "echo {component} > /dev/null 2>&1 && echo ok || echo {owner}",
    "(echo {component}); echo done",
    "echo 'it is' \"${x:-none}\" $((1 + 2)) {component}",
    "printf %s {component} |\n cat",
    "ssh -p 22 -o BatchMode=yes {component} uptime",
    "bash -x deploy.sh {component}",
    'sh -c "uptime"',
    "echo {labels.instance} <<EOF\nno value in here\nEOF",
]
QUOTES = "must have placeholders outside quotes: values bring their own quotes"
OPEN = "which has a quote or a bracket that does not end"
REFUSED = {
    "echo '{component}'": QUOTES,
    'echo "{component}"': QUOTES,
    "echo `date {component}`": QUOTES,
    'echo "$(date {component})"': QUOTES,
    "echo \\{component}": QUOTES,
    'echo "${x:-"{component}"}"': QUOTES,
    "echo 'a": OPEN,
    'echo "a': OPEN,
    "echo $(date": OPEN,
    "cat <<EOF\n{component}\nEOF": "a here-document",
    "cat <<-'EOF' > x\n{component}\nEOF": "a here-document",
    "echo $(( {component} ))": "an arithmetic expression",
    "echo $((1+(2*{component})))": "an arithmetic expression",
    "echo $[ {component} ]": "an arithmetic expression",
    "(( {component} > 1 )) && echo": "an arithmetic expression",
    "echo ${x:-{component}}": "${...}",
    "[[ {component} -gt 1 ]]": "[[ ... ]]",
    "ssh db1 restart {component}": "what ssh runs",
    "ssh -p 22 db1 restart {component}": "what ssh runs",
    "sudo /usr/bin/ssh db1 {component}": "what ssh runs",
    "eval echo {component}": "an argument of eval",
    "eval $(echo {component})": "an argument of eval",
    "watch -n1 ls {component}": "an argument of watch",
    "sh -c {component}": "an argument of sh -c",
    "sudo bash -lc 'echo '{component}": "an argument of bash -c",
    "kubectl exec pod -- sh -c ls\\ {component}": "an argument of sh -c",
    "su ann -c {component}": "an argument of su -c",
    "let x={component}": "an argument of let",
    "echo {component} | sh": "the input of a shell",
    "(echo {component}) |& ssh db1": "the input of a shell",
    "echo {component} |\n bash -s": "the input of a shell",
    "sh<<<{component}": "the input of a shell",
    "<<<{component} sh": "the place of a command",
    "$[1)]; echo $[1){component}]": "an arithmetic expression",
    "bash <(echo {component})": "what bash reads",
    "{component} --help": "the place of a command",
    "true; {component}": "the place of a command",
    "X=1 {component}": "the place of a command",
}


@pytest.mark.parametrize("command", SAFE)
def test_a_value_is_one_word(command: str) -> None:
    """It is taken."""
    assert shell_danger(command, PLACEHOLDER) == ""


@pytest.mark.parametrize(("command", "where"), REFUSED.items(), ids=REFUSED)
def test_a_value_that_would_run_is_refused(command: str, where: str) -> None:
    """With where it stands."""
    text = f"has a placeholder in {where}, where a shell would run what a label says"
    expected = where if where in (QUOTES, OPEN) else text

    assert shell_danger(command, PLACEHOLDER) == expected
    with pytest.raises(ValueError, match=re.escape(expected)):
        Step(say="x", run=command)


PIECES = [
    *("echo", "printf", "%s", "{component}", "{component}", "'", '"', "`", "$(", ")", "$((", "))"),
    *("${x:-", "}", "<<E\n", "\nE\n", "<<<", "[[ ", " ]]", ";", "|", "&&", " ", " ", "\n", "\\"),
    *(
        "sh",
        "-c",
        "eval",
        "cat",
        "(",
        "((",
        "x",
        "a=1",
        "$x",
        "$[",
        "]",
        "<(",
        "let",
        "b",
        "#",
        "==",
    ),
]


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(
    "name", ["'", '"', "$(", "a[$("], ids=["single", "double", "plain", "index"]
)
@given(pieces=st.lists(st.sampled_from(PIECES), min_size=2, max_size=14))
def test_what_is_taken_runs_nothing(
    name: str, tmp_path_factory: pytest.TempPathFactory, pieces: list[str]
) -> None:
    """In bash, whatever the command is made of: the file that the value would make is not there."""
    command = "".join(pieces)
    if "{component}" not in command or shell_danger(command, PLACEHOLDER):
        return
    folder = tmp_path_factory.getbasetemp()
    file = folder / "ran"
    begin, end = (name, name) if len(name) == 1 else ("", "")
    close = "]" if name == "a[$(" else ""
    value = f"{begin};$(: > {file})`: > {file}`{end}" if begin else f"{name}: > {file}){close}"
    filled = PLACEHOLDER.sub(lambda _: shlex.quote(value), command)

    _run(filled, folder)

    assert not file.exists(), command


def _run(command: str, folder: Path) -> None:
    empty = {"PATH": "/usr/bin:/bin", "HOME": str(folder)}
    subprocess.run(
        ["/bin/bash", "-c", command],
        cwd=folder,
        env=empty,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=10,
        check=False,
    )
