"""The bridge that the commands of this environment ask."""

from app.doctor.finding import Finding, Level

_REMEDY = "start tocsin up or tocsin bridge, or set TOCSIN_URL"


def check_service(answer: object) -> list[Finding]:
    """What `GET /api/v1/health` answered: a document, or a text that says why there is none."""
    if isinstance(answer, str):
        return [Finding("service", Level.DOUBTFUL, answer, _REMEDY)]
    document = answer if isinstance(answer, dict) else {}
    problems = document.get("problems")
    if not isinstance(problems, list):
        text = "what answers has no health: it is no bridge of this version"
        return [Finding("service", Level.WRONG, text, "run the same version everywhere")]
    if not problems:
        return [Finding("service", Level.GOOD, "the bridge says that Tocsin is well")]
    return [
        Finding(
            "service",
            Level.WRONG,
            str(problem.get("text")),
            "read docs/RUNBOOKS.md",
        )
        for problem in problems
        if isinstance(problem, dict)
    ]
