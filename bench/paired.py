"""Timing of several things against each other in one run, and what is to be said of the machine."""

import os
import platform
import random
import statistics
import time
from pathlib import Path

PAUSE = 0.015  # seconds for the threads of one party to go to sleep before another begins


def waited():
    """Seconds that the threads of this process were ready to run but had no core, so far."""
    total = 0
    for task in Path("/proc/self/task").iterdir():
        try:
            total += int((task / "schedstat").read_text().split()[1])
        except OSError:
            pass  # a thread that has just ended
    return total / 1e9


def burst(run, seconds):
    """The least milliseconds of one call in a burst of calls, and the share of it that was spent waiting for a core."""
    time.sleep(PAUSE)
    run()
    best, count, delay, begun = float("inf"), 0, waited(), time.perf_counter()
    while count < 3 or time.perf_counter() - begun < seconds:
        start = time.perf_counter()
        run()
        best, count = min(best, time.perf_counter() - start), count + 1
    return best * 1e3, (waited() - delay) / (time.perf_counter() - begun)


class Times:
    """Milliseconds of each party in each round."""

    def __init__(self, rounds):
        self.rounds = rounds

    def median(self, name):
        return statistics.median(times[name] for times in self.rounds)

    def ratio(self, name, other):
        """The median over the rounds of how long one takes in terms of the other."""
        return statistics.median(times[name] / times[other] for times in self.rounds)

    def added(self, name, other):
        """The median over the rounds of the milliseconds that one takes more than the other."""
        return statistics.median(times[name] - times[other] for times in self.rounds)


def measure(parties, rounds, seconds, patience=0.05):
    """Short bursts of all parties, in a new order each round. A round in which our threads waited for a core longer
    than `patience` of its time is measured again, at most as often as there are rounds."""
    draw, kept, noisy = random.Random(0), [], []
    for run in parties.values():
        run()
    while len(kept) < rounds and len(noisy) < rounds:
        order, times, worst = list(parties), {}, 0.0
        draw.shuffle(order)
        for name in order:
            times[name], share = burst(parties[name], seconds)
            worst = max(worst, share)
        (kept if worst <= patience else noisy).append((worst, times))
    best = sorted(kept + noisy, key=lambda entry: entry[0])[:rounds]
    return Times([times for _, times in best])


def machine():
    """What the figures depend on."""
    text = Path("/proc/cpuinfo").read_text()
    facts = dict(line.split(":", 1) for line in text.replace("\t", "").splitlines() if ":" in line)
    flags = facts.get("flags", "").split()
    wanted = ("avx2", "fma", "avx512f", "avx512vl", "avx512bw", "avx512dq", "avx512_bf16", "amx_tile", "amx_bf16",
              "amx_int8")
    memory = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal"))
    return {"cpu": facts.get("model name", "").strip(), "features": [flag for flag in wanted if flag in flags],
            "cores": len(os.sched_getaffinity(0)), "cache": facts.get("cache size", "").strip(),
            "memory_gb": round(int(memory.split()[1]) / 1e6), "kernel": platform.release(),
            "load": os.getloadavg()[0]}
