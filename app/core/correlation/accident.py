"""How likely it is that two alerts are near each other by accident. Integers only.

A token (a place or a kind) is counted in time slots: its share is the part of all slots in which
something with the token fired. A share s means that -ln(1 - s) firings are to be expected in each
slot if they come independently of each other. So the number of firings to be expected in the time
that two alerts are apart says how surprising it is that they are so near. It is given in parts in
a million ("ppm"), and is a little more than the probability.
"""

from app.core.state.near_evidence import MILLION

_SCALE = 10**15


def hazard_ppm(share_ppm: int) -> int:
    """-ln(1 - share), rounded down, in parts in a million. The share is below one million.

    By the series of the inverse hyperbolic tangent: -ln(1 - x) = 2 artanh(x / (2 - x)).
    """
    assert 0 <= share_ppm < MILLION
    ratio = share_ppm * _SCALE // (2 * MILLION - share_ppm)
    square = ratio * ratio // _SCALE
    total, power, odd = 0, ratio, 1
    while power:
        total += power // odd
        power = power * square // _SCALE
        odd += 2
    return 2 * total * MILLION // _SCALE
