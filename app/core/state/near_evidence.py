"""How near alerts came to each other, and up to which accident a join is allowed. Integers only.

What is surprising for two alerts happens often among thousands. `Evidence` compares how many alerts
came near with how many would come near by accident, and allows joins only as far as at most a given
share of them is false. This is the procedure of Benjamini and Hochberg (1995), with Storey's
estimate (2002) of how many alerts are independent. On independent alerts it allows next to nothing
at any rate.
"""

from dataclasses import dataclass, field

MILLION = 1_000_000
EVIDENCE_MAX = 4096  # alerts; then all counts are halved, so that what was long ago weighs less
BUCKETS = 21  # bucket b has the values below 2**b that are not below 2**(b - 1)


@dataclass(slots=True)
class Evidence:
    """How near alerts came for one reason, and how many were near nothing.

    `far` counts those that were farther than any accident that may be allowed; among independent
    alerts that is a known part of all. `near[b]` counts the others by their number of bits.
    """

    far: int = 0
    near: list[int] = field(default_factory=lambda: [0] * BUCKETS)
    number: int = 0

    def add(self, accident_ppm: int, chance_ppm: int) -> None:
        """Count one alert."""
        if accident_ppm > chance_ppm:
            self.far += 1
        else:
            self.near[accident_ppm.bit_length()] += 1
        self.number += 1
        if self.number >= EVIDENCE_MAX:
            self.far //= 2
            self.near = [number // 2 for number in self.near]
            self.number = self.far + sum(self.near)

    def limit_ppm(self, chance_ppm: int, false_share_ppm: int) -> int:
        """Up to which accident a join is allowed: `chance_ppm` at most.

        Of independent alerts a part of about `chance_ppm` is not far, so that there are
        `far / (1 - chance)` of them. One alert is added on both sides, the one that is asked for.
        """
        independent = (self.far + 1) * MILLION // (MILLION - chance_ppm)
        limit, number = 0, 1
        for bits, count in enumerate(self.near[: chance_ppm.bit_length() + 1]):
            number += count
            edge = min(1 << bits, chance_ppm)
            if independent * edge <= number * false_share_ppm:
                limit = edge
        return limit
