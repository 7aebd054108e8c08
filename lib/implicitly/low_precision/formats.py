"""Floats of few bits, and accumulators made of two of them.

A format MmEe has a sign, m bits of mantissa and e of exponent; its bias b is a free whole number. It has no infinities,
no NaN and no subnormal numbers: magnitudes at or above the largest become it, those below the smallest become 0. It is
counted with all its 2^e exponents and 2^m mantissas, and 0 beside them; an encoding would give one of these up for 0.

Source: arXiv 2401.14110; chapter `low-bit-accumulators`. Bad arguments raise TypeError or ValueError.
"""

from dataclasses import dataclass, replace

from torch import Tensor

from implicitly_kernels import lba_quantize

from .._validate import choice, flag, tensor, whole

__all__ = [
    "ACCUMULATORS",
    "Accumulator",
    "FloatFormat",
    "sum_bias",
]

ROUNDINGS = ("truncate", "nearest")


def _checked(self, names, **limits):
    """Set fields to the whole numbers that they hold."""
    for name in names:
        object.__setattr__(self, name, whole(name, getattr(self, name), **limits))


def _check_bias(name, bias, exponent):
    """A bias whose largest and smallest magnitudes are normal numbers in float64."""
    return whole(name, bias, at_least=2**exponent - 1023, at_most=1021)


@dataclass(frozen=True)
class FloatFormat:
    """A float with a sign, `mantissa` (1 to 50) and `exponent` (1 to 10) bits, and a bias.

    >>> f = FloatFormat(7, 4, 10)
    >>> f.largest, f.smallest, f.binades, f.bits
    (63.75, 0.0009765625, 16, 12)
    """

    mantissa: int
    exponent: int
    bias: int

    def __post_init__(self):
        _checked(self, ["mantissa"], at_least=1, at_most=50)
        _checked(self, ["exponent"], at_least=1, at_most=10)
        object.__setattr__(self, "bias", _check_bias("bias", self.bias, self.exponent))

    @property
    def largest(self) -> float:
        """The largest magnitude, ``2^(2^E - b - 1) (2 - 2^-M)``."""
        return 2.0 ** (2**self.exponent - 1 - self.bias) * (2 - 2.0**-self.mantissa)

    @property
    def smallest(self) -> float:
        """The smallest magnitude beside 0, ``2^-b``."""
        return 2.0**-self.bias

    @property
    def binades(self) -> int:
        """Powers of two among the magnitudes, ``2^E``."""
        return 2**self.exponent

    @property
    def bits(self) -> int:
        """Width of a register: a sign, E and M."""
        return 1 + self.exponent + self.mantissa

    def quantize(self, x: Tensor, *, rounding: str = "truncate", underflow: bool = True) -> Tensor:
        """x in this format, in its own dtype.

        Args:
            x: float32 or float64, any shape, finite. float32 holds formats up to M23E7 whose magnitudes are normal.
            rounding: "truncate" toward 0, or "nearest", ties to even.
            underflow: False leaves small magnitudes as they are.
        """
        tensor("x", x)
        rounding, underflow = choice("rounding", rounding, ROUNDINGS), flag("underflow", underflow)
        return lba_quantize(x, mantissa=self.mantissa, exponent=self.exponent, bias=self.bias, rounding=rounding,
                            underflow=underflow)  # fmt: skip

    def exact_bits(self, terms: int) -> int:
        """Width of a fixed-point register, sign included, that adds `terms` >= 1 numbers of this format without error.

        They are multiples of ``2^-(b + M)`` and at most `largest` in magnitude, so their sum is a multiple of it and at
        most `terms` times `largest`: ``1 + 2^E + M`` bits for one, and ``log2(terms)`` more at most.
        """
        terms = whole("terms", terms, at_least=1)
        units = (2 ** (self.mantissa + 1) - 1) << (self.binades - 1)  # the largest number, in units
        return 1 + (terms * units).bit_length()


def sum_bias(bias_product: int, chunk: int) -> int:
    """The rule ``b_sum = b_product - log2(chunk) / 2``, C5; ValueError where that is no whole number.

    A chunk of C independent products of mean 0 has sqrt(C) times a product's standard deviation: the window of the sums
    moves up by as much. That is a typical size, no bound, and it leaves the total of the chunks out.

    >>> sum_bias(12, 16)
    10
    """
    bias_product, chunk = whole("bias_product", bias_product), whole("chunk", chunk, at_least=1)
    half, odd = divmod(chunk.bit_length() - 1, 2)
    if odd or chunk & (chunk - 1):
        raise ValueError(f"chunk must be a power of 4, found {chunk}")
    return bias_product - half


@dataclass(frozen=True)
class Accumulator:
    """What a sum of products is kept in: formats of the products and of the sums, with one M and E, and chunks.

    ``s <- Q_sum(Q_product(x w) + s)`` from 0 within a chunk of `chunk` products, then ``t <- Q_sum(t + s)``.

    Args:
        mantissa, exponent, bias_product, bias_sum: as of `FloatFormat`.
        chunk: products that are added up before the total takes them, at least 1, below 2^31.
        rounding: "truncate" toward 0, or "nearest", ties to even.
        underflow: False leaves small magnitudes as they are.

    >>> a = ACCUMULATORS["M7E4"]
    >>> a.product.largest, a.sum.largest, a.bits
    (15.9375, 63.75, 12)
    """

    mantissa: int
    exponent: int
    bias_product: int
    bias_sum: int
    chunk: int = 16
    rounding: str = "truncate"
    underflow: bool = True

    def __post_init__(self):
        _checked(self, ["mantissa"], at_least=1, at_most=50)
        _checked(self, ["exponent"], at_least=1, at_most=10)
        for name in ("bias_product", "bias_sum"):
            object.__setattr__(self, name, _check_bias(name, getattr(self, name), self.exponent))
        _checked(self, ["chunk"], at_least=1, at_most=2**31 - 1)
        choice("rounding", self.rounding, ROUNDINGS)
        object.__setattr__(self, "underflow", flag("underflow", self.underflow))

    @property
    def product(self) -> FloatFormat:
        """The format of the products."""
        return FloatFormat(self.mantissa, self.exponent, self.bias_product)

    @property
    def sum(self) -> FloatFormat:
        """The format of the sums and totals."""
        return FloatFormat(self.mantissa, self.exponent, self.bias_sum)

    @property
    def bits(self) -> int:
        """Width of the register that holds a sum."""
        return self.sum.bits

    @property
    def lost_first(self) -> tuple[float, float]:
        """Magnitudes [from, to) of products that the product's format holds and a sum of 0 does not keep, C6.

        Empty (from = to) unless bias_sum < bias_product.
        """
        return self.product.smallest, max(self.product.smallest, self.sum.smallest)

    def without_underflow(self) -> "Accumulator":
        """The same, that leaves small magnitudes as they are: the first of the two stages of fine-tuning."""
        return replace(self, underflow=False)


#: Names of the paper and the chapter: 12 bits, 8 bits, and one with float16's mantissa and exponent.
ACCUMULATORS = {
    "M7E4": Accumulator(7, 4, 12, 10),
    "M4E3": Accumulator(4, 3, 5, 3),
    "M10E5": Accumulator(10, 5, 16, 14),
}
