"""How things are timed here: wall and CPU time on the CPU, CUDA events on a GPU."""

import os
import statistics
import time
from unittest.mock import patch

import torch

LONG = 0.05  # seconds


def versions_of(name):
    """The installed version of a distribution, or None."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(name)
    except PackageNotFoundError:
        return None


def measure(fn, device, budget_s=6.0, at_least=3):
    """median_s, q20_s, q80_s, min_s (wall), cpu_s (least CPU time; None on a GPU), repeats.

    CPU: cores may be shared, so the CPU time of the least disturbed run stands beside wall time. After one
    call that warms up, `at_least` are timed, and more, thirty at most, while the budget lasts.
    GPU: each run between CUDA events, after a flush of the caches (triton.testing.do_bench). What takes longer than
    `LONG` has nothing to gain from the flush, and runs three times instead of nine and more.
    """
    fn()
    if device == "cuda":
        from triton.testing import do_bench

        times = [_between_events(fn)]
        if times[0] > LONG:
            times = [_between_events(fn) for _ in range(3)]
        else:
            times = [t / 1e3 for t in do_bench(fn, return_mode="all")]
        return _summary(times, None)
    wall, cpu, start = [], [], time.perf_counter()
    while len(wall) < at_least or (time.perf_counter() - start < budget_s and len(wall) < 30):
        w, c = time.perf_counter(), time.process_time()
        fn()
        wall.append(time.perf_counter() - w)
        cpu.append(time.process_time() - c)
    return _summary(wall, min(cpu))


def bare(fn):
    """What `fn` does in our backends, as a function: neither their dispatcher nor the checks of arguments before it.

    One call of `fn` says which backends it calls and with what. None where it calls none.
    """
    from implicitly_kernels._dispatch import Dispatcher

    calls, load = [], Dispatcher.load

    def recording(self, backend):
        run = load(self, backend)

        def recorded(*args):
            calls.append((run, args))
            return run(*args)

        return recorded

    with patch.object(Dispatcher, "load", recording):
        fn()

    def again():
        with torch.no_grad():  # as inside an operator
            return [run(*args) for run, args in calls]

    return again if calls else None


def _between_events(fn):
    """Seconds that one call takes on the GPU."""
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    fn()
    end.record()
    torch.cuda.synchronize()
    return start.elapsed_time(end) / 1e3


def _summary(times, cpu_s):
    times = sorted(times)
    at = lambda q: times[min(len(times) - 1, int(q * len(times)))]  # noqa: E731
    return {"median_s": statistics.median(times), "q20_s": at(0.2), "q80_s": at(0.8),
            "min_s": times[0], "cpu_s": cpu_s, "repeats": len(times)}


def device_facts(device):
    """Model name, capability and driver of the device that is measured, without naming the host."""
    if device == "cuda":
        properties = torch.cuda.get_device_properties(0)
        return {"device": properties.name,
                "capability": f"sm_{properties.major}{properties.minor}",
                "driver": _driver(), "threads": None}
    return {"device": _cpu_model(), "capability": torch.backends.cpu.get_cpu_capability(),
            "driver": None, "threads": torch.get_num_threads()}


def _driver():
    import subprocess

    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        return subprocess.run(query, capture_output=True, text=True, check=True).stdout.split()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return None


def _cpu_model():
    try:
        with open("/proc/cpuinfo") as file:
            facts = dict(line.split(":", 1) for line in file if ":" in line)
        facts = {k.strip(): v.strip() for k, v in facts.items()}
        family = f" family {facts['cpu family']} model {facts['model']}" if "cpu family" in facts else ""
        return facts.get("model name", "CPU") + family
    except (OSError, KeyError):
        import platform

        return platform.processor() or platform.machine()


def load():
    """Runnable jobs a core, averaged over a minute; None where the system does not say."""
    try:
        return round(os.getloadavg()[0] / (os.cpu_count() or 1), 2)
    except OSError:
        return None
