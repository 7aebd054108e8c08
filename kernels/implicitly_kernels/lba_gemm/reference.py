"""Products with a narrow accumulator in plain torch: the definition that the kernels must match bit for bit.

Every operation is exact in float64 or a cut of the bits, so that there is nothing to contract. Sums are rounded to
odd, which keeps what is needed to quantize the exact one.
"""

import torch

from implicitly_kernels.lba_gemm._form import CLIPPED, OVERFLOW, SWAMPED, UNCHANGED, UNDERFLOW, Form


def odd_sum(a, b):
    """a + b in float64. Where it is not exact, the one of its two neighbours whose last bit is 1.

    Cutting or rounding that to 50 bits or fewer is cutting or rounding the exact sum.
    """
    v = a + b
    back = v - a
    rest = (a - (v - back)) + (b - back)  # exactly what the rounding took away
    bits = v.view(torch.int64)
    toward = torch.where((rest > 0) == (v > 0), 1, -1)
    return torch.where((rest != 0) & (bits & 1 == 0), bits + toward, bits).view(torch.float64)


def quantize(v, mantissa, largest, smallest, nearest):
    """v in float64 with `mantissa` bits after the first: cut, or rounded to nearest with ties to even.

    Magnitudes at or above `largest` become it, those below `smallest` become 0. Also says which were at or above.
    """
    s = 52 - mantissa
    bits = v.contiguous().view(torch.int64)
    if nearest:
        bits = bits + ((1 << (s - 1)) - 1 + ((bits >> s) & 1))
    r = (bits & -(1 << s)).view(torch.float64)
    over = r.abs() >= largest
    r = torch.where(over, torch.copysign(torch.full_like(r, largest), v), r)
    return torch.where(r.abs() < smallest, 0.0, r), over


def additions(x, w, form):
    """Every addition of all outputs at once, as (k, value, events).

    x (..., m, K) and w (..., n, K); k counts the products, and is None where a chunk is added to the total. value is
    the sum after it (..., m, n) in float64, events its bits, uint8.
    """
    x, w = x.double(), w.double()
    high, low, top, least = form.table()
    K = x.shape[-1]
    total = torch.zeros((*x.shape[:-1], w.shape[-2]), dtype=torch.float64, device=x.device)

    def add(old, p, code):
        new, over = quantize(odd_sum(old, p), form.mantissa, top, least, form.nearest)
        same = new == old
        return new, code | over * OVERFLOW | (same & (p != 0)) * SWAMPED | same * UNCHANGED

    none = torch.zeros(total.shape, dtype=torch.uint8, device=x.device)
    for first in range(0, K, form.chunk):
        s = torch.zeros_like(total)
        for k in range(first, min(first + form.chunk, K)):
            a, b = x[..., :, None, k], w[..., None, :, k]
            p, clipped = quantize(a * b, form.mantissa, high, low, form.nearest)
            gone = (p == 0) & (a != 0) & (b != 0)
            s, code = add(s, p, none | clipped * CLIPPED | gone * UNDERFLOW)
            yield k, s, code
        total, code = add(total, s, none)
        yield None, total, code


def forward(x, w, form, path, most):
    """y (B, m, n) of x (B, m, K) and w (B, n, K), in their dtype.

    path: the floats that suffice, of `Form.path`; most: no product is larger. This one needs neither.
    """
    y = torch.zeros((*x.shape[:2], w.shape[1]), dtype=torch.float64, device=x.device)
    for k, value, _ in additions(x, w, Form(*form)):
        y = value if k is None else y
    return y.to(x.dtype)


def events(x, w, form):
    """y, and counts (B, 6, m, n) int64 in the order of `lba_events`."""
    y = torch.zeros((*x.shape[:2], w.shape[1]), dtype=torch.float64, device=x.device)
    counts = torch.zeros((x.shape[0], 6, *y.shape[1:]), dtype=torch.int64, device=x.device)
    for k, value, code in additions(x, w, Form(*form)):
        if k is None:
            y = value
        for place, bit in enumerate((OVERFLOW, SWAMPED) if k is None else (OVERFLOW, UNDERFLOW, SWAMPED, CLIPPED)):
            counts[:, place + (4 if k is None else 0)] += code & bit != 0
    return y.to(x.dtype), counts


def trace(x, w, form):
    """Sums (B, K), totals (B, chunks), and the events of both, uint8, of the rows of x and w (B, K)."""
    form = Form(*form)
    steps, chunks = [], []
    for k, value, code in additions(x[:, None], w[:, None], form):
        (chunks if k is None else steps).append((value[:, 0, 0], code[:, 0, 0]))
    sums, totals = x.new_empty(x.shape), x.new_empty((len(x), len(chunks)))
    codes, chunk_codes = (torch.empty(v.shape, dtype=torch.uint8, device=x.device) for v in (sums, totals))
    for values, bits, found in ((sums, codes, steps), (totals, chunk_codes, chunks)):
        for k, (value, code) in enumerate(found):
            values[:, k], bits[:, k] = value, code
    return sums, totals, codes, chunk_codes


def alphas(codes, chunk_codes, chunk, gradient):
    """The factors 0 and 1 of the products (K, ...), as bool, from the events of all additions."""
    K = len(codes)
    if gradient == "immediate-change":
        own, whole = codes & UNCHANGED == 0, chunk_codes & UNCHANGED == 0
    else:
        over, over_chunk = codes & OVERFLOW != 0, chunk_codes & OVERFLOW != 0
        own, whole = ~over, ~over_chunk
        if gradient == "recursive-overflow":  # cut by any overflow at or after it
            own = torch.cat([~_later(part) for part in over.split(chunk)]) if K else own
            whole = ~_later(over_chunk)
        own = own & (codes & CLIPPED == 0)
    return own & whole.repeat_interleave(chunk, 0)[:K]


def _later(hit):
    """Whether this entry along the first axis, or a later one, is true."""
    return hit.flip(0).cumsum(0).flip(0) > 0


def backward(x, w, dy, form, gradient):
    """The gradient of sum(dy y) in x, (B, m, K), with every step's derivative replaced as `gradient` says.

    Products commute, so the gradient in w is this of (w, x) and the transposed dy.
    """
    form, K = Form(*form), x.shape[2]
    dx = torch.zeros(x.shape, dtype=torch.float64, device=x.device)
    if not K or not w.numel():
        return dx.to(x.dtype)
    steps, chunks = [], []
    for k, _, code in additions(x, w, form):
        (chunks if k is None else steps).append(code)
    alpha = alphas(torch.stack(steps), torch.stack(chunks), form.chunk, gradient)
    for k in range(K):
        dx[:, :, k] = ((dy.double() * alpha[k]) @ w.double()[:, :, k, None])[..., 0]
    return dx.to(x.dtype)
