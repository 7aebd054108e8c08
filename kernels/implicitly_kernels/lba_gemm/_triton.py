"""Narrow accumulators on the GPU: a program is a tile of outputs, sums and totals in registers.

x and w lie transposed, so that the tile's rows and columns of one k are neighbours in memory. Which floats it computes
in, and how sums are rounded, is fixed when it is compiled.
"""

import torch
import triton
import triton.language as tl

from implicitly_kernels.lba_gemm._form import Form

TILE, WARPS = 64, 8
SMALL = 32  # a tile in float64, and one that counts or follows the chain back, has more to keep
PARTIAL = 1 << 26  # numbers of a gradient's parts that are kept at a time
IMMEDIATE, RECURSIVE, CHANGE = tl.constexpr(0), tl.constexpr(1), tl.constexpr(2)
RULES = {"immediate-overflow": 0, "recursive-overflow": 1, "immediate-change": 2}


@triton.jit
def _quantize(v, top, least, DROP: tl.constexpr, NEAR: tl.constexpr, DOUBLE: tl.constexpr):
    if DOUBLE:  # noqa: SIM108  (of two dtypes)
        bits = v.to(tl.int64, bitcast=True)
    else:
        bits = v.to(tl.int32, bitcast=True)
    if NEAR:
        bits += ((1 << (DROP - 1)) - 1) + ((bits >> DROP) & 1)
    bits = bits & -(1 << DROP)
    if DOUBLE:  # noqa: SIM108
        r = bits.to(tl.float64, bitcast=True)
    else:
        r = bits.to(tl.float32, bitcast=True)
    r = tl.maximum(tl.minimum(r, top), -top)
    return tl.where(tl.abs(r) >= least, r, 0.0)


@triton.jit
def _sum(a, b, ODD: tl.constexpr):
    """a + b, rounded to odd: see reference.odd_sum."""
    v = a + b
    if ODD:
        back = v - a
        rest = (a - (v - back)) + (b - back)
        bits = v.to(tl.int64, bitcast=True)
        moved = tl.where((rest > 0) == (v > 0), bits + 1, bits - 1)
        v = tl.where((rest != 0) & ((bits & 1) == 0), moved, bits).to(tl.float64, bitcast=True)
    return v


@triton.jit
def _place(m, n, BM: tl.constexpr, BN: tl.constexpr):
    """Batch and rows and columns of this program's tile, and which column of tiles it is."""
    across, down = tl.cdiv(n, BN), tl.cdiv(m, BM)
    here = tl.program_id(0)
    tile, batch = here % (across * down), here // (across * down)
    row, column = tile // across, tile % across
    return batch.to(tl.int64), row * BM + tl.arange(0, BM), column * BN + tl.arange(0, BN), column


# One binary for all sizes.
@triton.jit(do_not_specialize=["m", "n", "K", "size"])
def _lba_gemm_kernel(
    x_ptr, w_ptr, table_ptr, y_ptr, m, n, K, size,
    DROP: tl.constexpr, NEAR: tl.constexpr, ODD: tl.constexpr, DOUBLE: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr,
):  # fmt: skip
    batch, i, j, _ = _place(m, n, BM, BN)
    high, low, top, least = (tl.load(table_ptr), tl.load(table_ptr + 1), tl.load(table_ptr + 2), tl.load(table_ptr + 3))
    x_at, w_at = x_ptr + batch * K * m + i, w_ptr + batch * K * n + j
    total = tl.zeros((BM, BN), tl.float64 if DOUBLE else tl.float32)
    for first in range(0, K, size):
        s = tl.zeros_like(total)
        for _k in range(first, tl.minimum(first + size, K)):
            a = tl.load(x_at, mask=i < m, other=0.0)
            b = tl.load(w_at, mask=j < n, other=0.0)
            p = _quantize(a[:, None] * b[None, :], high, low, DROP, NEAR, DOUBLE)
            s = _quantize(_sum(p, s, ODD), top, least, DROP, NEAR, DOUBLE)
            x_at += m
            w_at += n
        total = _quantize(_sum(total, s, ODD), top, least, DROP, NEAR, DOUBLE)
    where = (batch * m + i)[:, None] * n + j[None, :]
    tl.store(y_ptr + where, total, mask=(i < m)[:, None] & (j < n)[None, :])


@triton.jit(do_not_specialize=["m", "n", "K", "size"])
def _lba_events_kernel(
    x_ptr, w_ptr, table_ptr, y_ptr, counts_ptr, m, n, K, size,
    DROP: tl.constexpr, NEAR: tl.constexpr, ODD: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr,
):  # fmt: skip
    batch, i, j, _ = _place(m, n, BM, BN)
    high, low, top, least = (tl.load(table_ptr), tl.load(table_ptr + 1), tl.load(table_ptr + 2), tl.load(table_ptr + 3))
    x_at, w_at = x_ptr + batch * K * m + i, w_ptr + batch * K * n + j
    total = tl.zeros((BM, BN), tl.float64)
    over = tl.zeros((BM, BN), tl.int32)
    under, swamped, clipped, chunk_over, chunk_swamped = over, over, over, over, over
    for first in range(0, K, size):
        s = tl.zeros_like(total)
        for _k in range(first, tl.minimum(first + size, K)):
            a = tl.load(x_at, mask=i < m, other=0.0)
            b = tl.load(w_at, mask=j < n, other=0.0)
            p = _quantize(a[:, None] * b[None, :], high, low, DROP, NEAR, True)
            new = _quantize(_sum(p, s, ODD), top, least, DROP, NEAR, True)
            live = (a != 0)[:, None] & (b != 0)[None, :]
            over += (tl.abs(new) == top).to(tl.int32)
            under += ((p == 0) & live).to(tl.int32)
            swamped += ((p != 0) & (new == s)).to(tl.int32)
            clipped += (tl.abs(p) == high).to(tl.int32)
            s = new
            x_at += m
            w_at += n
        new = _quantize(_sum(total, s, ODD), top, least, DROP, NEAR, True)
        chunk_over += (tl.abs(new) == top).to(tl.int32)
        chunk_swamped += ((s != 0) & (new == total)).to(tl.int32)
        total = new
    mask = (i < m)[:, None] & (j < n)[None, :]
    where = i.to(tl.int64)[:, None] * n + j[None, :]
    tl.store(y_ptr + batch * m * n + where, total, mask=mask)
    counts_at = counts_ptr + batch * 6 * m * n + where
    step = (batch * 0 + m) * n
    tl.store(counts_at, over.to(tl.int64), mask=mask)
    tl.store(counts_at + step, under.to(tl.int64), mask=mask)
    tl.store(counts_at + 2 * step, swamped.to(tl.int64), mask=mask)
    tl.store(counts_at + 3 * step, clipped.to(tl.int64), mask=mask)
    tl.store(counts_at + 4 * step, chunk_over.to(tl.int64), mask=mask)
    tl.store(counts_at + 5 * step, chunk_swamped.to(tl.int64), mask=mask)


@triton.jit
def _chunk(x_at, w_at, i, j, m, n, first, last, high, low, top, least, total,
           DROP: tl.constexpr, NEAR: tl.constexpr, ODD: tl.constexpr):  # fmt: skip
    """The sum of a chunk, and which k last brought it to the largest magnitude (-1 if none did)."""
    s = tl.zeros_like(total)
    at = tl.zeros_like(total).to(tl.int32) - 1
    for k in range(first, last):
        a = tl.load(x_at, mask=i < m, other=0.0)
        b = tl.load(w_at, mask=j < n, other=0.0)
        p = _quantize(a[:, None] * b[None, :], high, low, DROP, NEAR, True)
        s = _quantize(_sum(p, s, ODD), top, least, DROP, NEAR, True)
        at = tl.where(tl.abs(s) == top, k, at)
        x_at += m
        w_at += n
    return s, at


@triton.jit(do_not_specialize=["m", "n", "K", "size"])
def _lba_backward_kernel(
    x_ptr, w_ptr, dy_ptr, table_ptr, part_ptr, m, n, K, size,
    RULE: tl.constexpr, DROP: tl.constexpr, NEAR: tl.constexpr, ODD: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr,
):  # fmt: skip
    """What the tile adds to the gradient in x: its own part (column of tiles, batch, K, m)."""
    batch, i, j, column = _place(m, n, BM, BN)
    high, low, top, least = (tl.load(table_ptr), tl.load(table_ptr + 1), tl.load(table_ptr + 2), tl.load(table_ptr + 3))
    x_at, w_at = x_ptr + batch * K * m + i, w_ptr + batch * K * n + j
    live = (i < m)[:, None] & (j < n)[None, :]
    dy = tl.load(dy_ptr + (batch * m + i)[:, None] * n + j[None, :], mask=live, other=0.0)
    batches = tl.num_programs(0) // (tl.cdiv(n, BN) * tl.cdiv(m, BM))
    part_at = part_ptr + (column * batches + batch) * K * m + i
    total = tl.zeros((BM, BN), tl.float64)
    cut = tl.zeros((BM, BN), tl.int32) - 1  # where the last chunk starts whose total reached the largest magnitude
    if RULE == RECURSIVE:
        x_next, w_next = x_at, w_at
        for first in range(0, K, size):
            last = tl.minimum(first + size, K)
            s, at = _chunk(x_next, w_next, i, j, m, n, first, last, high, low, top, least, total, DROP, NEAR, ODD)
            x_next += (batch * 0 + m) * (last - first)
            w_next += (batch * 0 + n) * (last - first)
            total = _quantize(_sum(total, s, ODD), top, least, DROP, NEAR, True)
            cut = tl.where(tl.abs(total) == top, first, cut)
        total = tl.zeros((BM, BN), tl.float64)
    for first in range(0, K, size):
        last = tl.minimum(first + size, K)
        s, at = _chunk(x_at, w_at, i, j, m, n, first, last, high, low, top, least, total, DROP, NEAR, ODD)
        new = _quantize(_sum(total, s, ODD), top, least, DROP, NEAR, True)
        if RULE == RECURSIVE:
            alive = cut < first
        elif RULE == CHANGE:
            alive = new != total
        else:
            alive = tl.abs(new) != top
        down = tl.where(alive, dy, 0.0)
        total = new
        s = tl.zeros_like(total)
        for k in range(first, last):
            a = tl.load(x_at, mask=i < m, other=0.0)
            b = tl.load(w_at, mask=j < n, other=0.0)
            p = _quantize(a[:, None] * b[None, :], high, low, DROP, NEAR, True)
            new = _quantize(_sum(p, s, ODD), top, least, DROP, NEAR, True)
            if RULE == RECURSIVE:
                own = (at < k) & (tl.abs(p) != high)
            elif RULE == CHANGE:
                own = new != s
            else:
                own = (tl.abs(new) != top) & (tl.abs(p) != high)
            s = new
            tl.store(part_at, tl.sum(tl.where(own, down, 0.0) * b[None, :], axis=1), mask=i < m)
            part_at += m
            x_at += m
            w_at += n


def _given(form, path, *matrices):
    """Transposed matrices and the limits in the floats of the path, and the launch's constants."""
    double = path != "single"
    dtype = torch.float64 if double else torch.float32
    table = torch.tensor(form.table(), dtype=dtype, device=matrices[0].device)
    flags = {"DROP": (52 if double else 23) - form.mantissa, "NEAR": form.nearest, "ODD": path == "odd"}
    return *(v.to(dtype).mT.contiguous() for v in matrices), table, flags


def _tiles(m, n, tile):
    return triton.cdiv(m, tile) * triton.cdiv(n, tile)


def forward(x, w, form, path, most, tile=None):
    """Same contract as reference.forward. tile: its side, a power of two."""
    form, tile = Form(*form), tile or (TILE if path == "single" else SMALL)
    (B, m, K), n = x.shape, w.shape[1]
    y = x.new_empty((B, m, n))
    if y.numel():
        a, b, table, flags = _given(form, path, x, w)
        _lba_gemm_kernel[(B * _tiles(m, n, tile),)](
            a, b, table, y, m, n, K, min(form.chunk, max(1, K)), **flags, DOUBLE=path != "single", BM=tile, BN=tile,
            num_warps=WARPS, enable_fp_fusion=False,
        )  # fmt: skip
    return y


def events(x, w, form, tile=SMALL):
    """Same contract as reference.events."""
    form = Form(*form)
    (B, m, K), n = x.shape, w.shape[1]
    y, counts = x.new_empty((B, m, n)), x.new_empty((B, 6, m, n), dtype=torch.int64)
    if y.numel():
        a, b, table, flags = _given(form, form.path(False), x, w)
        _lba_events_kernel[(B * _tiles(m, n, tile),)](
            a, b, table, y, counts, m, n, K, min(form.chunk, max(1, K)), **flags, BM=tile, BN=tile, num_warps=WARPS,
            enable_fp_fusion=False,
        )  # fmt: skip
    return y, counts


def backward(x, w, dy, form, gradient, tile=SMALL):
    """Same contract as reference.backward. The columns of tiles add up what they wrote, some rows of x at a time."""
    form = Form(*form)
    (B, m, K), n = x.shape, w.shape[1]
    columns = triton.cdiv(n, tile)
    dx = x.new_zeros(x.shape)
    rows = max(tile, PARTIAL // max(1, columns * B * K))
    for start in range(0, m if dx.numel() and n else 0, rows):
        one, down = x[:, start:start + rows], dy[:, start:start + rows].double().contiguous()
        a, b, table, flags = _given(form, form.path(False), one, w)
        parts = a.new_empty((columns, B, K, one.shape[1]))
        _lba_backward_kernel[(B * _tiles(one.shape[1], n, tile),)](
            a, b, down, table, parts, one.shape[1], n, K, min(form.chunk, K), RULE=RULES[gradient], **flags, BM=tile,
            BN=tile, num_warps=WARPS, enable_fp_fusion=False,
        )  # fmt: skip
        dx[:, start:start + rows] = parts.sum(0).mT
    return dx
