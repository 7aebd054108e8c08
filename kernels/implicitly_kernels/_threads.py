"""How the numba backends share independent items among torch's threads."""

from concurrent.futures import ThreadPoolExecutor

import torch


def share(part, items):
    """Call `part(first, last)`, which must release the GIL, on ranges that cover `items` items."""
    threads = max(1, min(torch.get_num_threads(), items))
    edges = [items * t // threads for t in range(threads + 1)]
    if threads == 1:
        part(0, items)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(part, edges[:-1], edges[1:]))
