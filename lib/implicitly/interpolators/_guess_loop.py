"""The inner loops of guess and check, compiled. `threshold_nets` says what they compute."""

from implicitly_kernels._jit import cached_njit

__all__ = ["count_fits", "count_words"]


@cached_njit(boundscheck=False)
def count_fits(nets, row, values, offset, truths, truth_of, samples, sample_labels, joint, lengths):
    """Add every net to the histogram `joint` and write how many examples it fits to `lengths`.

    nets: int64 (B, h), settings of units. row: int32 (T,), the row of `values` of each setting. values: int16 (K, P).
    truths: uint8 (U, P), the different teachers; truth_of: int64 (R,), which one each data set has.
    samples: int64 (R, N). sample_labels: uint8 (R, N). joint: int64 (R, N + 1, P + 1). lengths: int64 (B, R).
    """
    sets, size = samples.shape
    points = values.shape[1]
    sums = values[0].copy()
    answers = truths[0].copy()
    wrong = truth_of.copy()
    for b in range(nets.shape[0]):
        sums[:] = offset
        for j in range(nets.shape[1]):
            unit = values[row[nets[b, j]]]
            for p in range(points):
                sums[p] += unit[p]
        for p in range(points):
            answers[p] = sums[p] > 0
        for u in range(truths.shape[0]):
            total = 0
            for p in range(points):
                total += answers[p] ^ truths[u, p]
            wrong[u] = total
        for r in range(sets):
            n = 0
            while n < size and answers[samples[r, n]] == sample_labels[r, n]:
                n += 1
            joint[r, n, wrong[truth_of[r]]] += 1
            lengths[b, r] = n


@cached_njit(boundscheck=False)
def count_words(nets, row, values, offset, counters):
    """Count the truth tables of `nets` (arguments as above) in `counters`, int64 (2**P,)."""
    points = values.shape[1]
    sums = values[0].copy()
    for b in range(nets.shape[0]):
        sums[:] = offset
        for j in range(nets.shape[1]):
            unit = values[row[nets[b, j]]]
            for p in range(points):
                sums[p] += unit[p]
        word = 0
        for p in range(points):
            word |= (sums[p] > 0) << p
        counters[word] += 1
