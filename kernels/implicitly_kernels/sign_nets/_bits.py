"""What the CPU path of the threshold networks does with the bits of words, and of vectors of them."""

from llvmlite import ir
from numba import types
from numba.core.cgutils import get_or_insert_function
from numba.extending import intrinsic

from implicitly_kernels._vector import MASK, WIDTH, WORDS


def _ones(builder, value):
    kind = value.type
    name = f"v{kind.count}{kind.element}" if isinstance(kind, ir.VectorType) else str(kind)
    return builder.call(get_or_insert_function(builder.module, ir.FunctionType(kind, [kind]), f"llvm.ctpop.{name}"),
                        [value])  # fmt: skip


@intrinsic
def popcount(typingctx, word):
    """Bits set in a word, or in each of a vector; LLVM's own, which is an instruction where the CPU has one."""
    return word(word), lambda context, builder, sig, args: _ones(builder, args[0])


@intrinsic
def no_more(typingctx, a, b):
    """Whether a <= b, of words without sign."""
    return MASK(WORDS, WORDS), lambda context, builder, sig, args: builder.icmp_unsigned("<=", *args)


@intrinsic
def lanes_of(typingctx, mask):
    """The lanes of a mask as the bits of a word."""
    def code(context, builder, sig, args):
        return builder.zext(builder.bitcast(args[0], ir.IntType(WIDTH)), ir.IntType(32))

    return types.uint32(MASK), code


def _added(part):
    """total + mark in those parts of the words where at most so many of the bits that differ are set."""
    def made(typingctx, total, differ, most, mark):
        def code(context, builder, sig, args):
            kind = ir.VectorType(ir.IntType(part), WIDTH * 32 // part)
            total, differ, most, mark = (builder.bitcast(v, kind) for v in args)
            few = builder.icmp_unsigned("<=", _ones(builder, differ), most)
            return builder.bitcast(builder.select(few, builder.add(total, mark), total), args[0].type)

        return WORDS(WORDS, WORDS, WORDS, WORDS), code

    return intrinsic(made)


added_16, added_32 = map(_added, (16, 32))
