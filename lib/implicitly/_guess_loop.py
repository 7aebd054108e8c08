"""The inner loop of guess and check, compiled. `threshold_nets.guess_and_check` says what it computes."""

import numba

__all__ = ["count_fits"]


@numba.njit(cache=True, boundscheck=False)
def count_fits(rows, values, offset, labels, samples, sample_labels, joint, lengths):
    """Add every net of `rows` to the histogram `joint` and write how many examples it fits to `lengths`.

    rows: int64 (B, h), rows of `values` that make up each net. values: int32 (K, P). labels: uint8 (R, P).
    samples: int64 (R, N). sample_labels: uint8 (R, N). joint: int64 (R, N + 1, P + 1). lengths: int64 (B, R).
    """
    sets, size = samples.shape
    points = values.shape[1]
    sums = values[0].copy()
    answers = labels[0].copy()
    for b in range(rows.shape[0]):
        sums[:] = offset
        for j in range(rows.shape[1]):
            row = values[rows[b, j]]
            for p in range(points):
                sums[p] += row[p]
        for p in range(points):
            answers[p] = sums[p] > 0
        for r in range(sets):
            wrong = 0
            for p in range(points):
                wrong += answers[p] ^ labels[r, p]
            n = 0
            while n < size and answers[samples[r, n]] == sample_labels[r, n]:
                n += 1
            joint[r, n, wrong] += 1
            lengths[b, r] = n
