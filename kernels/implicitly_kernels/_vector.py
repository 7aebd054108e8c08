"""WIDTH float32 side by side as one value, for numba, where a loop over lanes would not stay in registers.

The compiler turns a loop over lanes into vectors only where it is long and touches few arrays, and what it adds up goes
through memory at each pass. A vector is what a register holds: `load` it, calculate with `+ - * / ^ & >>`, with other
vectors or with numbers, choose with `where`, `store` it. A lane has the same bits whatever the WIDTH. The fastmath
flags of the function that uses it hold for it too. Of float64 a vector has half as many. Most functions below take
scalars as well, so that a formula is written once.
"""

import operator

from llvmlite import ir
from numba import types
from numba.core.cgutils import get_or_insert_function
from numba.core.registry import cpu_target
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

#: More than a register holds is cut in two, and then there are too few registers. Numba may have been told to compile
#: for another CPU than this one; its cache on disk tells CPUs apart by the same words. What is `OF_THE_MACHINE` is no
#: part of what a function says.
OF_THE_MACHINE = ("WIDTH",)
WIDTH = 16 if "+avx512f" in cpu_target.target_context.codegen().magic_tuple()[2].split(",") else 8


class _Vector(types.Type):
    def __init__(self, element, lanes=None):
        self.element = element
        self.lanes = lanes or WIDTH * 32 // max(32, getattr(element, "bitwidth", 32))
        super().__init__(name=f"vector({self.lanes} x {element})")


FLOATS, DOUBLES, WORDS, MASK = map(_Vector, (types.float32, types.float64, types.uint32, types.boolean))
#: Sixteen float64 on every CPU: what is added up lane by lane has one order. An operation is two or more instructions
#: that do not wait for each other, which a long chain of operations needs.
BLOCK, BLOCK_MASK = (_Vector(element, 16) for element in (types.float64, types.boolean))
_SCALARS = {FLOATS: types.float32, WORDS: types.uint32, MASK: types.boolean, BLOCK: types.float64}


@register_model(_Vector)
class _Model(models.PrimitiveModel):
    def __init__(self, manager, kind):
        element = ir.IntType(1) if kind.element == types.boolean else manager.lookup(kind.element).get_value_type()
        super().__init__(manager, kind, ir.VectorType(element, kind.lanes))


def _spread(builder, value, lanes=WIDTH):
    one = ir.Constant(ir.VectorType(value.type, lanes), ir.Undefined)
    one = builder.insert_element(one, value, ir.IntType(32)(0))
    return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes))


def _operator(function, kind, result, lower):
    """Make `function` work on vectors of this kind, or one of them and a number; lower(builder, a, b)."""
    pairs = (kind, kind), (kind, kind.element), (kind.element, kind)

    class Template(ConcreteTemplate):
        key = function
        cases = tuple(signature(result, *pair) for pair in pairs)

    infer_global(function)(Template)

    def code(context, builder, sig, args):
        both = zip(args, sig.args, strict=True)
        return lower(builder, *(v if t == kind else _spread(builder, v, kind.lanes) for v, t in both))

    for pair in pairs:
        lower_builtin(function, *pair)(code)


def _instruction(name):
    return lambda builder, a, b: getattr(builder, name)(a, b)


def _comparison(sign):
    return lambda builder, a, b: builder.fcmp_ordered(sign, a, b)


_ARITHMETIC = {operator.add: "fadd", operator.sub: "fsub", operator.mul: "fmul", operator.truediv: "fdiv"}
for _kind, _table in (
    (FLOATS, _ARITHMETIC), (DOUBLES, _ARITHMETIC), (BLOCK, _ARITHMETIC),
    (WORDS, {operator.add: "add", operator.sub: "sub", operator.xor: "xor", operator.and_: "and_",
             operator.lshift: "shl", operator.rshift: "lshr"}),
):
    for _function, _name in _table.items():
        _operator(_function, _kind, _kind, _instruction(_name))
_operator(operator.and_, MASK, MASK, _instruction("and_"))
for _function, _sign in {operator.lt: "<", operator.le: "<=", operator.gt: ">", operator.ge: ">=",
                         operator.eq: "=="}.items():
    _operator(_function, FLOATS, MASK, _comparison(_sign))
    _operator(_function, BLOCK, BLOCK_MASK, _comparison(_sign))


@lower_builtin(operator.neg, FLOATS)
def _negative(context, builder, sig, args):
    return builder.fneg(args[0])


@infer_global(operator.neg)
class _Negative(ConcreteTemplate):
    cases = (signature(FLOATS, FLOATS),)


def _wide(*kinds):
    return any(isinstance(kind, _Vector) for kind in kinds)


_KINDS = {kind.element: kind for kind in (FLOATS, DOUBLES, WORDS)}


def _place(context, builder, kind, array, index, lanes):
    made = context.make_array(kind)(context, builder, array)
    value = ir.VectorType(made.data.type.pointee, lanes)
    return builder.bitcast(builder.gep(made.data, [index]), value.as_pointer())


def _loaded(kind, array):
    def code(context, builder, sig, args):
        return builder.load(_place(context, builder, array, *args, kind.lanes), align=array.dtype.bitwidth // 8)

    return kind(array, types.uint64), code


@intrinsic
def load(typingctx, array, index):
    """The vector that begins at an index of a contiguous array of float32, float64 or uint32."""
    return _loaded(_KINDS[array.dtype], array)


@intrinsic
def load_block(typingctx, array, index):
    """The BLOCK of float64 that begins there."""
    return _loaded(BLOCK, array)


@intrinsic
def store(typingctx, array, index, vector):
    """Write a vector there."""
    def code(context, builder, sig, args):
        place = _place(context, builder, sig.args[0], *args[:2], vector.lanes)
        builder.store(args[2], place, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.uint64, vector), code


@intrinsic
def spread(typingctx, value):
    """A number in every lane."""
    kind = _KINDS.get(value, WORDS)
    return kind(kind.element), lambda context, builder, sig, args: _spread(builder, args[0], kind.lanes)


@intrinsic
def block(typingctx, value):
    """A number in every lane of a BLOCK."""
    return BLOCK(types.float64), lambda context, builder, sig, args: _spread(builder, args[0], BLOCK.lanes)


@intrinsic
def numbered(typingctx, first):
    """The words first, first + 1, ..."""
    def code(context, builder, sig, args):
        steps = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), list(range(WIDTH)))
        return builder.add(_spread(builder, args[0]), steps)

    return WORDS(types.uint32), code


@intrinsic
def where(typingctx, condition, a, b):
    """a where the condition holds, else b; a and b are of one kind, or one of them is a number. Not of DOUBLES."""
    kind = a if _wide(a) else b
    if not _wide(kind, condition):
        kind = types.float32 if isinstance(kind, types.Float) else types.uint32

    def code(context, builder, sig, args):
        held, *values = args
        values = [v if _wide(t) or not _wide(kind) else _spread(builder, v, kind.lanes)
                  for v, t in zip(values, sig.args[1:], strict=True)]
        return builder.select(held, *values)

    each = (t if _wide(t) else _SCALARS.get(kind, kind) for t in (a, b))
    return kind(condition, *each), code


def _unary(source, target, lower):
    """A function of one scalar or vector; lower(builder, value, type of the result)."""
    def made(typingctx, value):
        taken, given = (source, target) if _wide(value) else (_SCALARS[source], _SCALARS[target])

        def code(context, builder, sig, args):
            return lower(builder, args[0], context.get_value_type(given))

        return given(taken), code

    return intrinsic(made)


def _by_llvm(name):
    def lower(builder, value, kind):
        full = f"llvm.{name}.{f'v{WIDTH}' if isinstance(kind, ir.VectorType) else ''}f32"
        return builder.call(get_or_insert_function(builder.module, ir.FunctionType(kind, [kind]), full), [value])

    return lower


float_of_bits = _unary(WORDS, FLOATS, lambda builder, value, kind: builder.bitcast(value, kind))
bits_of_float = _unary(FLOATS, WORDS, lambda builder, value, kind: builder.bitcast(value, kind))
#: The float32 nearest to a word that is read as an int32, and the int32, as a word, that a float32 is cut to.
number = _unary(WORDS, FLOATS, lambda builder, value, kind: builder.sitofp(value, kind))
whole = _unary(FLOATS, WORDS, lambda builder, value, kind: builder.fptosi(value, kind))
#: 32 bits of what numba may have widened to 64.
word = _unary(WORDS, WORDS, lambda builder, value, kind: value)


def _chosen(sign):
    def made(typingctx, value, bound):
        def code(context, builder, sig, args):
            limit = _spread(builder, args[1], value.lanes)
            return builder.select(builder.fcmp_ordered(sign, args[0], limit), limit, args[0])

        return value(value, value.element), code

    return intrinsic(made)


#: A vector of floats, no lane less, or greater, than a number; a NaN stays.
at_least, at_most = _chosen("<"), _chosen(">")
root, floor, magnitude = (_unary(FLOATS, FLOATS, _by_llvm(name)) for name in ("sqrt", "floor", "fabs"))


@intrinsic
def product(typingctx, factor, value):
    """The high and the low word of the product of two words, of which the second may be a vector."""
    kind = WORDS if _wide(value) else types.uint32
    word, double = ir.IntType(32), ir.IntType(64)

    def scalar(context, builder, sig, args):
        both = builder.mul(*(builder.zext(v, double) for v in args))
        words = [builder.trunc(v, word) for v in (builder.lshr(both, double(32)), both)]
        return context.make_tuple(builder, sig.return_type, words)

    def lanes(context, builder, sig, args):
        # CPUs multiply every second word: the even ones, then the odd ones, which is what LLVM does not find itself.
        pairs, words = ir.VectorType(double, WIDTH // 2), ir.VectorType(word, WIDTH)
        low, by = (ir.Constant(pairs, [v] * (WIDTH // 2)) for v in (0xFFFFFFFF, 32))
        a = builder.bitcast(_spread(builder, args[0]), pairs)
        b = builder.bitcast(args[1], pairs)
        even = builder.bitcast(builder.mul(builder.and_(b, low), builder.and_(a, low)), words)
        odd = builder.bitcast(builder.mul(builder.lshr(b, by), builder.and_(a, low)), words)

        def joined(half):
            places = [lane - lane % 2 + half + WIDTH * (lane % 2) for lane in range(WIDTH)]
            return builder.shuffle_vector(even, odd, ir.Constant(words, places))

        return context.make_tuple(builder, sig.return_type, [joined(1), joined(0)])

    return types.UniTuple(kind, 2)(types.uint32, kind), lanes if _wide(value) else scalar
