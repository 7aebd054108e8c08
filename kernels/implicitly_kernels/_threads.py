"""How the numba backends run: in pieces, between which Python sees a Ctrl-C, shared among threads.

They are as many as torch has, or as the environment variable IMPLICITLY_THREADS says: a notebook of many small tensors
is fastest with one thread of torch's, and its kernels with one a core.
"""

import os
from collections import deque
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from itertools import islice, pairwise
from threading import Event

import torch

#: Operations of one compiled call, about: a tenth of a second on one core.
PIECE = 1 << 28
#: Operations for which a thread is worth its start.
WORTH = 1 << 20


def pieces(first, last, steps, work):
    """Ranges (first item, last item, first step, last step) that cover `steps` steps of items first..last-1.

    One step of one item takes `work` operations. Several items run all their steps in one piece, or one item some
    of them: then the pieces of an item follow each other. With no steps there is still a piece for each item.
    """
    whole = work * max(1, steps)
    if whole <= PIECE or steps <= 1:
        many = max(1, PIECE // max(1, whole))
        for item in range(first, last, many):
            yield item, min(item + many, last), 0, steps
        return
    some = max(1, PIECE // work)
    for item in range(first, last):
        for step in range(0, steps, some):
            yield item, item + 1, step, min(step + some, steps)


def count():
    """How many threads a backend may use."""
    told = os.environ.get("IMPLICITLY_THREADS", "")
    if not told:
        return torch.get_num_threads()
    if not (told.isascii() and told.isdigit() and int(told) >= 1):
        raise ValueError(f"IMPLICITLY_THREADS: expected a whole number of at least 1, got {told!r}")
    return int(told)


def share(part, items, steps=1, work=0, scratch=None, anywhere=False):
    """Call `part(first, last, begin, end)`, which must release the GIL, on the pieces of `items` items.

    scratch: makes what a thread keeps from piece to piece, which `part` gets as well. anywhere: the next piece of an
    item may run in another thread, so that two threads share three long items evenly. An error or a KeyboardInterrupt
    ends all threads after the piece at which they are.
    """
    threads = max(1, min(count(), items, items * work * max(1, steps) // WORTH))
    stop = Event()

    def run(first, last):
        own = (scratch(),) if scratch else ()
        for piece in pieces(first, last, steps, work):
            if stop.is_set():
                return
            part(*piece, *own)

    if threads == 1:
        run(0, items)
        return
    edges = [items * t // threads for t in range(threads + 1)]
    jobs = [(run, *ends) for ends in pairwise(edges)]
    if anywhere and steps > 1 and work * steps > PIECE:
        lines = deque(pieces(item, item + 1, steps, work) for item in range(items))  # those at which no thread is

        def turns():
            own = (scratch(),) if scratch else ()
            while not stop.is_set():
                try:
                    line = lines.popleft()
                except IndexError:  # each that is left has a thread
                    return
                for piece in islice(line, 1):
                    part(*piece, *own)
                    lines.append(line)

        jobs = [(turns,)] * threads
    with ThreadPoolExecutor(threads) as pool:
        try:
            waiting = {pool.submit(*job) for job in jobs}
            while waiting:  # with a timeout: a wait without one need not hear a signal
                done, waiting = wait(waiting, timeout=0.1, return_when=FIRST_EXCEPTION)
                for future in done:
                    future.result()
        except BaseException:
            stop.set()
            raise
