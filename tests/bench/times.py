"""Times: all works in all modes, interleaved, as ratios to native of the same round."""

import statistics

import works
from modes import Failed

WORKS = works.WORKS


def quartiles(values):
    """[first quartile, median, third]."""
    if len(values) < 2:
        return list(values) * 3
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return [low, middle, high]


def _counts(modes, milliseconds, say):
    counts = {}
    for work in WORKS:
        for mode in modes:
            if not works.has_part(mode, work):
                continue
            try:
                counts[work, mode.name] = works.turns(mode, work, milliseconds)
            except Failed as reason:
                say("no figures of %s in the mode %s: %s" % (work, mode.name, reason))
    return counts


def measure(modes, rounds, milliseconds, say):
    """{work: {mode: [{wall, cpu…} of each round]}}."""
    counts = _counts(modes, milliseconds, say)
    taken = {work: {} for work in WORKS}
    for turn in range(rounds):
        say("times: round %d of %d" % (turn + 1, rounds))
        start = turn % len(modes)
        for work in WORKS:
            for mode in modes[start:] + modes[:start]:
                if (work, mode.name) not in counts:
                    continue
                try:
                    said = works.run(mode, work, counts[work, mode.name])
                except Failed as reason:
                    say("%s in the mode %s failed: %s" % (work, mode.name, reason))
                    del counts[work, mode.name]
                    taken[work].pop(mode.name, None)
                    continue
                taken[work].setdefault(mode.name, []).append(said)
    return taken


def ratio(taken, work, mode, other, what):
    """Quartiles of mode's figure by other's in the same round, or None."""
    of, to = taken[work].get(mode), taken[work].get(other)
    if not of or not to or len(of) != len(to):
        return None
    return quartiles([a[what] / b[what] for a, b in zip(of, to) if b[what] > 0] or [0])


def median(taken, work, mode, what):
    return statistics.median(said[what] for said in taken[work][mode])
