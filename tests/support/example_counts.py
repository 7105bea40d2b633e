"""How many examples the tests of properties try.

`make test` tries a sample. `make test-long` sets TOCSIN_EXAMPLES, and tries so many times as many.
"""

import os

FACTOR = int(os.environ.get("TOCSIN_EXAMPLES", "1"))
WHOLE = 5  # the factor from which on the tests also see that their examples reach everything


def examples(sample: int) -> int:
    """The number of examples, where `make test` is to try `sample`."""
    return sample * FACTOR
