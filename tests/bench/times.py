# SPDX-License-Identifier: MIT
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


class _Times:
    """What has been taken: {work: {mode: [{wall, cpu…} of each round]}}."""

    def __init__(self, milliseconds, say):
        self.milliseconds, self.say = milliseconds, say
        self.counts = {}
        self.failed = set()
        self.taken = {work: {} for work in WORKS}

    def take(self, work, mode):
        key = work, mode.name
        if key in self.failed or not works.has_part(mode, work):
            return
        try:
            if key not in self.counts:
                self.counts[key] = works.turns(mode, work, self.milliseconds)
            said = works.run(mode, work, self.counts[key])
        except Failed as reason:
            self.say("no figures of %s in the mode %s: %s" % (work, mode.name, reason))
            self.failed.add(key)
            self.taken[work].pop(mode.name, None)
            return
        self.taken[work].setdefault(mode.name, []).append(said)


def measure(modes, rounds, milliseconds, say):
    """{work: {mode: [{wall, cpu…} of each round]}}; what has to be attached comes last."""
    attached = [mode for mode in modes if mode.attaches]
    modes = [mode for mode in modes if not mode.attaches]
    times = _Times(milliseconds, say)
    for turn in range(rounds):
        say("times: round %d of %d" % (turn + 1, rounds))
        start = turn % len(modes)
        for work in WORKS:
            for mode in modes[start:] + modes[:start]:
                times.take(work, mode)
        for mode in attached:
            _take_attached(mode, times, say)
    return times.taken


def _take_attached(mode, times, say):
    try:
        mode.attach()
    except Failed as reason:
        say(str(reason))
        times.failed.update((work, mode.name) for work in WORKS)
        return
    try:
        for work in WORKS:
            times.take(work, mode)
    finally:
        mode.detach()


def ratio(taken, work, mode, other, what):
    """Quartiles of mode's figure by other's in the same round, or None."""
    of, to = taken[work].get(mode), taken[work].get(other)
    if not of or not to or len(of) != len(to):
        return None
    return quartiles([a[what] / b[what] for a, b in zip(of, to) if b[what] > 0] or [0])


def median(taken, work, mode, what):
    return statistics.median(said[what] for said in taken[work][mode])
