r"""Matrix products whose sums are kept in a float of few bits.

$$s \leftarrow Q_{\mathrm{sum}}\big(Q_{\mathrm{product}}(x_k w_k) + s\big), \qquad
t \leftarrow Q_{\mathrm{sum}}(t + s)\ \text{ after each chunk, where } s \text{ starts again at } 0.$$

$Q$ keeps M bits of the mantissa. What reaches the largest magnitude $2^{2^E-b-1}(2-2^{-M})$ becomes it, what lies below
the smallest, $2^{-b}$, becomes 0. Products and sums have the same M and E, and biases b of their own. Products and
sums are exact before $Q$; k ascends.

Source: arXiv 2401.14110; chapter low-bit-accumulators.
"""

import math

import torch
from torch import Tensor

from implicitly_kernels import _checks as check
from implicitly_kernels._ops import dispatcher, operator
from implicitly_kernels.lba_gemm._form import BIAS, Form
from implicitly_kernels.lba_gemm.reference import quantize

_DISPATCH = {name: dispatcher("lba_gemm", name, f"lba_{name}") for name in ("forward", "events", "trace", "backward")}
del _DISPATCH["trace"].paths["triton"]  # a few rows, one after the other: nothing for a GPU
FLOATS = (torch.float32, torch.float64)
ROUNDINGS = ("truncate", "nearest")
GRADIENTS = ("identity", "immediate-overflow", "recursive-overflow", "immediate-change")
EVENTS = ("overflow", "underflow", "swamped", "product_overflow", "chunk_overflow", "chunk_swamped")


def _checked(x, w, form):
    """x and w, contiguous, the floats to compute in, and a bound of all products; one look at the values."""
    x, w = x.contiguous(), w.contiguous()
    if not x.numel() or not w.numel():
        return x, w, form.path(False), 0.0
    found = [end.double() for v in (x, w) for end in v.aminmax()]  # of which one is NaN if an entry is
    if x.dtype == torch.float32 and form.path(True) == "single":  # at most 12 bits each: their product has 24
        found += [(v.view(torch.int32) & 0xFFF).any().double() for v in (x, w)]
    a, b, c, d, *long = torch.stack(found).tolist()
    for name, value, ends in (("x", x, (a, b)), ("w", w, (c, d))):
        if not all(map(math.isfinite, ends)):
            check.finite(name, value)
    return x, w, form.path(bool(long) and not any(long)), max(-a, b) * max(-c, d)


def _shapes(x, w, form, gradient, backend):
    return x.new_empty((*x.shape[:2], w.shape[1]))


def _backward_shapes(x, w, dy, form, gradient, backend):
    return x.new_empty(x.shape)


@operator("lba_gemm_backward", _backward_shapes, refuses="the gradient is not differentiable")
def _backward(x: Tensor, w: Tensor, dy: Tensor, form: list[int], gradient: str, backend: str) -> Tensor:
    given = (v.contiguous() for v in (x, w, dy))
    return _DISPATCH["backward"](backend, x)(*given, form, gradient)


def _save(ctx, inputs, output):
    x, w, ctx.form, ctx.gradient, ctx.backend = inputs
    ctx.save_for_backward(x, w)


def _gradient(ctx, dy):
    x, w = ctx.saved_tensors
    asked_x, asked_w, *_ = ctx.needs_input_grad
    if ctx.gradient == "identity":
        return dy @ w if asked_x else None, dy.mT @ x if asked_w else None, None, None, None
    rest = (ctx.form, ctx.gradient, ctx.backend)
    return (_backward(x, w, dy, *rest) if asked_x else None,
            _backward(w, x, dy.mT, *rest) if asked_w else None, None, None, None)  # fmt: skip


@operator("lba_gemm", _shapes, backward=_gradient, setup=_save)
def _gemm(x: Tensor, w: Tensor, form: list[int], gradient: str, backend: str) -> Tensor:
    x, w, path, most = _checked(x, w, Form(*form))
    return _DISPATCH["forward"](backend, x)(x, w, form, path, most)


def _event_shapes(x, w, form, backend):
    m, n = x.shape[1], w.shape[1]
    return x.new_empty((len(x), m, n)), x.new_empty((len(x), len(EVENTS), m, n), dtype=torch.int64)


@operator("lba_events", _event_shapes, refuses="counts are not differentiable")
def _events(x: Tensor, w: Tensor, form: list[int], backend: str) -> tuple[Tensor, Tensor]:
    x, w, *_ = _checked(x, w, Form(*form))
    return _DISPATCH["events"](backend, x)(x, w, form)


def _trace_shapes(x, w, form, backend):
    B, K = x.shape
    chunks = -(-K // form[4])
    return (x.new_empty((B, K)), x.new_empty((B, chunks)), x.new_empty((B, K), dtype=torch.uint8),
            x.new_empty((B, chunks), dtype=torch.uint8))  # fmt: skip


@operator("lba_trace", _trace_shapes, refuses="a trace is not differentiable")
def _trace(x: Tensor, w: Tensor, form: list[int], backend: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    x, w, *_ = _checked(x, w, Form(*form))
    return _DISPATCH["trace"](backend, x)(x, w, form)


def _range(dtype, mantissa, exponent):
    """mantissa and exponent as ints, and the range of a bias, for floats of this dtype."""
    single = dtype == torch.float32
    mantissa = check.integer("mantissa", mantissa, at_least=1, at_most=23 if single else 50)
    exponent = check.integer("exponent", exponent, at_least=1, at_most=7 if single else 10)
    name = "float32" if single else "float64"
    return mantissa, exponent, {"at_least": 2**exponent - 2 - BIAS[name], "at_most": BIAS[name]}


def _form(dtype, mantissa, exponent, bias_product, bias_sum, chunk, rounding, underflow):
    mantissa, exponent, limits = _range(dtype, mantissa, exponent)
    bias_product = check.integer("bias_product", bias_product, **limits)
    chunk = check.integer("chunk", chunk, at_least=1, at_most=2**31 - 1)
    if bias_sum is None:
        half = math.log2(chunk) / 2
        if half != int(half):
            raise ValueError(f"bias_sum: expected an int where chunk is no power of 4 (bias_product - log2(chunk) / 2 "
                             f"is none), got None and chunk {chunk}")
        bias_sum = bias_product - int(half)
    bias_sum = check.integer("bias_sum", bias_sum, **limits)
    check.one_of("rounding", rounding, ROUNDINGS)
    underflow = check.flag("underflow", underflow)
    return Form(mantissa, exponent, bias_product, bias_sum, chunk, rounding == "nearest", underflow)


def _matrices(x, w):
    """x and w with a first axis for the batch."""
    check.tensor("x", x, dtypes=FLOATS)
    if x.ndim not in (2, 3):
        raise ValueError(f"x: expected 2 or 3 dimensions, got shape {tuple(x.shape)}")
    check.tensor("w", w, dtypes=(x.dtype,), device=x.device, shape=(*x.shape[:-2], None, x.shape[-1]))
    return (x, w) if x.ndim == 3 else (x[None], w[None])


def lba_gemm(x: Tensor, w: Tensor, *, mantissa: int = 7, exponent: int = 4, bias_product: int = 12,
             bias_sum: int | None = None, chunk: int = 16, rounding: str = "truncate", underflow: bool = True,
             gradient: str = "identity", backend: str = "auto") -> Tensor:
    """y[i, j], the sum of x[i, k] w[j, k] over k in a narrow float, as `torch.nn.functional.linear` has its arguments.

    x: (m, K) or (B, m, K), and w: (n, K) or (B, n, K), float32 or float64, finite.
    mantissa: M, from 1 to 23 (float64: 50), and exponent: E, from 1 to 7 (10): bits of the accumulator, beside a sign.
    bias_product, bias_sum: whole numbers b; all magnitudes are normal numbers of x's dtype: from 2**E - 128 to 126
       (2**E - 1023 to 1021). bias_sum: None for bias_product - log2(chunk) / 2, which must be whole.
    chunk: products in a row that are added up before the total takes them, from 1; K or more for no chunks.
    rounding: "truncate" toward 0, or "nearest", ties to even, before what is compared with the limits.
    underflow: False leaves small magnitudes as they are.
    gradient: what stands in for the derivative of Q in backward. "identity": 1, an ordinary product.
       "immediate-overflow": 0 for a product that was clipped or whose sum was, or whose chunk's total was.
       "recursive-overflow": 0 also for all that was added before: the derivative of the clipped sum.
       "immediate-change": 0 for a product that left its sum, or whose chunk left the total, as it was.
    backend: "auto", "reference", "numba", "triton". numba spreads rows over threads.

    Returns y (m, n) or (B, m, n) in x's dtype. Every backend gives the same bits. For float32 they are those of exact
    products and sums; without underflow, a y below 2**-126 is rounded to float32. For float64, products are first
    rounded to float64, which changes none of factors of 26 bits or fewer. The gradient computes the chain again; other
    than "identity", it adds up in float32 on numba and triton (float64 for float64), in an order of its own.
    It is fastest where x and w have at most 12 significant bits, as bfloat16 and float16 numbers do, and M <= 10.
    Raises TypeError or ValueError for bad arguments, RuntimeError for a named backend that cannot run.
    """
    x3, w3 = _matrices(x, w)
    form = _form(x.dtype, mantissa, exponent, bias_product, bias_sum, chunk, rounding, underflow)
    check.one_of("gradient", gradient, GRADIENTS)
    check.backend(backend)
    y = _gemm(x3, w3, list(form), gradient, backend)
    return y if x.ndim == 3 else y[0]


def lba_events(x: Tensor, w: Tensor, *, mantissa: int = 7, exponent: int = 4, bias_product: int = 12,
               bias_sum: int | None = None, chunk: int = 16, rounding: str = "truncate", underflow: bool = True,
               backend: str = "auto") -> tuple[Tensor, Tensor]:
    """The product of `lba_gemm`, with the same arguments, and what happened on the way.

    Returns y, and int64 counts (6, m, n) or (B, 6, m, n), for every output how many times
    0. a sum within a chunk was at or above the largest magnitude ("overflow"; also just at it),
    1. a product other than 0 fell below the smallest one ("underflow"),
    2. a quantized product other than 0 left its sum as it was ("swamped"),
    3. a product was at or above the largest magnitude ("product_overflow"),
    4. the total was, as a chunk came to it ("chunk_overflow"),
    5. a chunk's sum other than 0 left the total as it was ("chunk_swamped").
    One step can be several of these. Not differentiable. Raises as `lba_gemm`.
    """
    x3, w3 = _matrices(x, w)
    form = _form(x.dtype, mantissa, exponent, bias_product, bias_sum, chunk, rounding, underflow)
    check.backend(backend)
    y, counts = _events(x3, w3, list(form), backend)
    return (y, counts) if x.ndim == 3 else (y[0], counts[0])


def lba_trace(x: Tensor, w: Tensor, *, mantissa: int = 7, exponent: int = 4, bias_product: int = 12,
              bias_sum: int | None = None, chunk: int = 16, rounding: str = "truncate", underflow: bool = True,
              backend: str = "auto") -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Every sum on the way of B outputs, row by row of x and w (B, K); other arguments as in `lba_gemm`.

    Returns, of the steps, the sum within the chunk (B, K) in x's dtype; after each chunk the totals (B, chunks); and
    the events of both as uint8 of the same shapes, bits of 1 overflow, 2 underflow, 4 swamped, 8 product_overflow
    (see `lba_events`) and 16 for a sum or total that is what it was. backend: "auto", "reference", "numba". Not
    differentiable. Raises as `lba_gemm`.
    """
    check.tensor("x", x, dtypes=FLOATS, ndim=2)
    check.tensor("w", w, dtypes=(x.dtype,), device=x.device, shape=tuple(x.shape))
    form = _form(x.dtype, mantissa, exponent, bias_product, bias_sum, chunk, rounding, underflow)
    check.backend(backend)
    return _trace(x, w, list(form), backend)


def lba_quantize(x: Tensor, *, mantissa: int, exponent: int, bias: int, rounding: str = "truncate",
                 underflow: bool = True) -> Tensor:
    """x in the float of `mantissa` and `exponent` bits: the Q of `lba_gemm`, which see for the ranges.

    x: float32 or float64, any shape, finite. Returns its shape and dtype; zeros are +0 unless underflow is off. The
    gradient is 1 (straight-through). Raises TypeError or ValueError for bad arguments.
    """
    check.tensor("x", x, dtypes=FLOATS)
    mantissa, exponent, limits = _range(x.dtype, mantissa, exponent)
    bias = check.integer("bias", bias, **limits)
    check.one_of("rounding", rounding, ROUNDINGS)
    underflow = check.flag("underflow", underflow)
    check.finite("x", x)
    form = Form(mantissa, exponent, bias, bias, 1, rounding == "nearest", underflow)
    largest, smallest = form.limits(bias)
    value, _ = quantize(x.detach().double(), mantissa, largest, smallest, form.nearest)
    return _Through.apply(x, value.to(x.dtype))


class _Through(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, value):
        return value

    @staticmethod
    def backward(ctx, grad):
        return grad, None
