"""The arithmetic that all backends share: a form, its limits, and in which floats its sums come out exactly."""

from typing import NamedTuple

#: Bits of `events`: the sum was at or above the largest number; a product fell below the smallest one; a product that
#: is not 0 left the sum as it was; a product was at or above the largest number; the sum is what it was before.
OVERFLOW, UNDERFLOW, SWAMPED, CLIPPED, UNCHANGED = 1, 2, 4, 8, 16
BIAS = {"float32": 126, "float64": 1021}  # the largest, so that the smallest number is a normal one


class Form(NamedTuple):
    """The arithmetic of a product, as whole numbers: an operator of torch takes a list of them."""

    mantissa: int
    exponent: int
    bias_product: int
    bias_sum: int
    chunk: int
    nearest: bool
    underflow: bool

    def limits(self, bias):
        """The largest magnitude, and the smallest beside 0: 0 where nothing underflows."""
        largest = 2.0 ** (2**self.exponent - 1 - bias) * (2 - 2.0**-self.mantissa)
        return largest, 2.0**-bias if self.underflow else 0.0

    def table(self):
        """Largest and smallest magnitude of products, then of sums."""
        return [*self.limits(self.bias_product), *self.limits(self.bias_sum)]

    def safe(self, digits):
        r"""Whether sums may be rounded to `digits` bits before they are quantized, and come out the same.

        Let a and b have M + 1 bits and exponents $e_a \ge e_b$. Their sum is a multiple of $2^{e_b-M}$ below
        $2^{e_a+2}$, so it fits into `digits` bits unless $e_a - e_b \ge$ digits $- 1 - M$. With 2M + 4 <= digits b is
        then below a quarter of a's unit. To nearest, the sum is a either way. Truncated, it is a or, where the signs
        differ, a's neighbour toward 0, and only a sum that was first rounded back to a goes wrong. That takes
        $|b| \le 2^{e_a-\mathrm{digits}}$. But $e_a$ is at most $2^E - 1$ less bias_sum, or the sum is clipped, and b at
        least 2 to the minus larger bias.
        """
        spread = 2**self.exponent + max(0, self.bias_product - self.bias_sum)
        return 2 * self.mantissa + 4 <= digits and (self.nearest or (self.underflow and spread <= digits))

    def path(self, short):
        """Floats to compute in: "single", "double", or "odd", float64 with sums rounded to odd.

        short: whether all products are exact in float32. Below 2**-125 a product is flushed, however it was rounded.
        """
        if short and self.underflow and self.bias_product <= 125 and self.safe(24):
            return "single"
        return "double" if self.safe(53) else "odd"
