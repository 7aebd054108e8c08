"""Random threshold networks on the CPU: WIDTH of them side by side, one to a lane of a vector, which draw their weights
and see samples until all have failed.

A layer lies as [word][lane]. A word holds the weights of one neuron, of two with 9 to 16 inputs, or half of one's with
more than 32, so that a word of all lanes is an XOR, a population count, a comparison and a sum. All of it stays in
cache. A sample is shown to all vectors that have a network left before the next one is.
"""

import numba
import numpy as np
import torch

from implicitly_kernels import _threads
from implicitly_kernels._jit import cached_njit
from implicitly_kernels._philox_numba import philox_twice
from implicitly_kernels._rng_numba import F32, U32, U64
from implicitly_kernels._vector import WIDTH, load, number, numbered, product, spread, store, where
from implicitly_kernels.sign_nets._bits import added_16, added_32, lanes_of, no_more, popcount

V = U64(WIDTH)  # offsets: numba would look at each signed one, whether it is negative
EVERY = U32(2**WIDTH - 1)  # all lanes
CACHE = 1 << 14  # bytes of weights that are drawn before they see a sample
PAIR = 16  # bits of a neuron of two that share a word
# Bits that word i sets in its activations; where it holds two neurons, those of the second 16 bits up, and 16 a group.
ONE = np.array([1 << i for i in range(32)], np.uint32)
TWO = np.array([(1 + (2 << PAIR)) << 2 * i for i in range(8)], np.uint32)
# What is known of a layer: most differences of a neuron that is on; its words, and the first of them and of its biases
# in a network; which bits its weights, and what it gives, have in a word and in the next.
INPUTS, NEURONS, FIELD, PART, MOST, AT, AT_BIAS, TAKEN, TAKEN_HIGH, GIVEN, GIVEN_HIGH = range(11)
jit = cached_njit(nogil=True, boundscheck=False, error_model="numpy")


@jit
def _counters(first, vector):
    """The low and the high words of the networks of a vector."""
    net = first + U64(vector) * V
    start, high = U32(net & U64(0xFFFFFFFF)), spread(U32(net >> U64(32)))
    low = numbered(start)
    return low, where(no_more(spread(start), low), high, high + U32(1))  # past 2**32 the low word begins again


@jit
def _draw(k0, k1, first, vectors, step, draws, stream, at, stride):
    """`draws` times four words of one stream of networks first, first + 1, ..., as [vector][word][lane] from `at` on.

    Vectors come in twos: one more than asked is written where their number is odd.
    """
    now = spread(U32(step))
    for draw in range(draws):
        number_of = spread(U32(draw))
        for vector in range(0, vectors, 2):
            low, high = _counters(first, vector)
            low_too, high_too = _counters(first, vector + 1)
            p0, p1, p2, p3, q0, q1, q2, q3 = philox_twice(k0, k1, low, high, low_too, high_too, now, number_of)
            one = at + U64(vector) * stride + U64(4 * draw) * V
            two = one + stride
            store(stream, one, p0)
            store(stream, one + V, p1)
            store(stream, one + U64(2) * V, p2)
            store(stream, one + U64(3) * V, p3)
            store(stream, two, q0)
            store(stream, two + V, q1)
            store(stream, two + U64(2) * V, q2)
            store(stream, two + U64(3) * V, q3)


@jit
def _draw_word(k0, k1, first, vectors, step, stream, at, stride):
    """The first word only of what `_draw` draws."""
    now, none = spread(U32(step)), spread(U32(0))
    for vector in range(0, vectors, 2):
        low, high = _counters(first, vector)
        low_too, high_too = _counters(first, vector + 1)
        words = philox_twice(k0, k1, low, high, low_too, high_too, now, none)
        store(stream, at + U64(vector) * stride, words[0])
        store(stream, at + U64(vector + 1) * stride, words[4])


@jit
def _weights(layers, layer, vectors, stream, stride, w, room):
    """Weights as the layer wants them: neurons apart, or as they come, without bits that are no weights."""
    neurons, field, part = layers[layer, NEURONS], layers[layer, FIELD], layers[layer, PART]
    mask, mask_high = U32(layers[layer, TAKEN]), U32(layers[layer, TAKEN_HIGH])
    for vector in range(vectors):
        come, at = U64(vector) * stride, U64(vector) * room + U64(layers[layer, AT])
        if field == 64:
            for _ in range(neurons):
                store(w, at, load(stream, come))
                store(w, at + V, load(stream, come + V) & mask_high)
                come, at = come + V + V, at + V + V
        elif field == part:
            for i in range((neurons * field + 31) >> 5):
                store(w, at + U64(i) * V, load(stream, come + U64(i) * V) & mask)
        else:
            for k in range(neurons):
                bit = U64(k * field)
                v = load(stream, come + (bit >> U64(5)) * V)
                store(w, at + U64(k) * V, (v >> U32(bit & U64(31))) & mask)


@jit
def _biases(layers, layer, vectors, stream, stride, bias, scaled, b, g, room):
    """Biases and scales: whole numbers below 2**24, so float32 has them exactly."""
    levels = 2 * bias + 1
    for vector in range(vectors):
        for k in range(layers[layer, NEURONS]):
            at = U64(vector) * room + U64(layers[layer, AT_BIAS]) + U64(k) * V
            v = load(stream, U64(vector) * stride + U64(k) * V)
            r = number(product(U32(3 * levels if scaled else levels), v)[0])
            if scaled:
                all_of, one, none = F32(levels), spread(F32(1)), spread(F32(0))
                third = where(r >= all_of, one, none) + where(r >= F32(2) * all_of, one, none)
                r = r - third * all_of
                store(g, at, third - F32(1))
            store(b, at, r - F32(bias))


@jit
def _pairs(layers, layer, two, live, many, x, acts, w, room):
    """`acts` after a layer of neurons that share words, of the first `many` vectors in `live`; before the first, x."""
    neurons, begins, most = layers[layer, NEURONS], layers[layer, AT] == 0, spread(U32(layers[layer, MOST]))
    given, given_high = U32(layers[layer, GIVEN]), U32(layers[layer, GIVEN_HIGH])
    for place in range(many):
        here, at = U64(2) * live[place] * V, live[place] * room + U64(layers[layer, AT])
        a = spread(x) if begins else load(acts, here)
        a = a + (a << U32(PAIR))
        low, high = spread(U32(0)), spread(U32(0))
        for first in range(0, neurons, PAIR):
            out = spread(U32(0))
            for i in range((min(PAIR, neurons - first) + 1) >> 1):
                out = added_16(out, load(w, at) ^ a, most, spread(two[i]))
                at += V
            out = (out + (out >> U32(PAIR))) & U32(0xFFFF)
            if first < 32:
                low = low + (out << U32(first))
            else:
                high = high + (out << U32(first - 32))
        store(acts, here, low & given)
        store(acts, here + V, high & given_high)


@jit
def _apart(layers, layer, one, live, many, x, acts, w, room):
    """The same, of neurons with a word each."""
    neurons, begins, most = layers[layer, NEURONS], layers[layer, AT] == 0, spread(U32(layers[layer, MOST]))
    for place in range(many):
        here, at = U64(2) * live[place] * V, live[place] * room + U64(layers[layer, AT])
        a = spread(x) if begins else load(acts, here)
        low, high = spread(U32(0)), spread(U32(0))
        for i in range(min(32, neurons)):
            low = added_32(low, load(w, at) ^ a, most, spread(one[i]))
            at += V
        for i in range(neurons - 32):
            high = added_32(high, load(w, at) ^ a, most, spread(one[i]))
            at += V
        store(acts, here, low)
        store(acts, here + V, high)


@jit
def _general(layers, layer, one, bits, live, many, x, x_high, acts, w, room, b, g, room_bias):
    """The same, of any neurons, with their biases and scales."""
    inputs, neurons, begins = layers[layer, INPUTS], layers[layer, NEURONS], layers[layer, AT] == 0
    for place in range(many):
        here, at = U64(2) * live[place] * V, live[place] * room + U64(layers[layer, AT])
        at_bias = live[place] * room_bias + U64(layers[layer, AT_BIAS])
        a = spread(x) if begins else load(acts, here)
        high = spread(x_high) if begins else load(acts, here + V)
        for first in range(0, neurons, 32):
            out = spread(U32(0))
            for i in range(min(32, neurons - first)):
                v, u = load(w, at), spread(U32(0))
                at += V
                if inputs > 32:
                    u = load(w, at)
                    at += V
                if bits:
                    total = number(popcount(v & a) + popcount(u & high))
                else:
                    count = popcount(v ^ a) + popcount(u ^ (high if inputs > 32 else u))
                    total = F32(inputs) - number(count + count)
                on = load(g, at_bias) * total + load(b, at_bias) >= F32(0)
                at_bias += V
                out = where(on, out + one[i], out)
            store(acts, here + U64(first >> 5) * V, out)


@jit
def _show(xs, ys, layers, one, two, general, bits, live, many, alive, acts, w, room, b, g, room_bias, counts):
    """Show the networks whose lanes are bits of `alive` samples until they fail; how many vectors in `live` have one
    that does not, and all that are left in it."""
    n = ys.size
    on = spread(U32(1))
    s = 0
    while s < n and many > 0:
        for layer in range(layers.shape[0]):
            if layers[layer, PART] == PAIR:
                _pairs(layers, layer, two, live, many, xs[s, 0], acts, w, room)
            elif general or layers[layer, PART] == 64:
                _general(layers, layer, one, bits, live, many, xs[s, 0], xs[s, 1], acts, w, room, b, g, room_bias)
            else:
                _apart(layers, layer, one, live, many, xs[s, 0], acts, w, room)
        left, failures, y = 0, 0, ys[s]
        for place in range(many):  # without a branch, which nobody could foresee
            vector = live[place]
            before = alive[vector]
            failed = U32(before & (lanes_of(no_more(on, load(acts, U64(2) * vector * V))) ^ y))
            failures += popcount(failed)
            alive[vector] = U32(before ^ failed)
            live[left] = vector
            left += 1 if before != failed else 0
        counts[s] += failures
        many = left
        s += 1
    for place in range(many):
        counts[n] += popcount(alive[live[place]])
    return many


@numba.njit(inline="always")
def _failed(x, y, left, two, w, begin, draws, mask, most, end, mask_end, most_end):
    """The lanes of `left` that fail a sample, in a network of neurons that share words and one that has its own."""
    a = spread(U32(x + (x << U32(PAIR))))
    out = spread(U32(0))
    for i in range(0, 4 * draws, 4):  # neurons too many do no harm: mask_end leaves them out
        at = begin + U64(i) * V
        out = added_16(out, (load(w, at) ^ a) & mask, most, spread(two[i]))
        out = added_16(out, (load(w, at + V) ^ a) & mask, most, spread(two[i + 1]))
        out = added_16(out, (load(w, at + U64(2) * V) ^ a) & mask, most, spread(two[i + 2]))
        out = added_16(out, (load(w, at + U64(3) * V) ^ a) & mask, most, spread(two[i + 3]))
    out = out + (out >> U32(PAIR))
    on = no_more(popcount((end ^ out) & mask_end), most_end)
    return U32(left & (lanes_of(on) ^ y))


@jit
def _show_small(xs, ys, layers, two, many, live, alive, w, room, draws, counts):
    """What `_show` does, for networks d-h-1 that are `_small`; a vector's samples one after the other, so that all it
    needs stays in registers and in the nearest cache."""
    n, kept = ys.size, 0
    mask, most = spread(U32(layers[0, TAKEN])), spread(U32(layers[0, MOST]))
    mask_end, most_end = spread(U32(layers[1, TAKEN])), spread(U32(layers[1, MOST]))
    for vector in range(many):
        begin = U64(vector) * room
        end, left, s = load(w, begin + U64(4 * draws) * V), alive[vector], 0
        # Sixteen networks see 5.4 samples: whether one is left is asked after four, as it would be guessed wrong.
        while left and s + 4 <= n:
            for i in range(s, s + 4):
                failed = _failed(xs[i, 0], ys[i], left, two, w, begin, draws, mask, most, end, mask_end, most_end)
                counts[i] += popcount(failed)
                left = U32(left ^ failed)
            s += 4
        while left and s < n:
            failed = _failed(xs[s, 0], ys[s], left, two, w, begin, draws, mask, most, end, mask_end, most_end)
            counts[s] += popcount(failed)
            left = U32(left ^ failed)
            s += 1
        alive[vector] = left
        counts[n] += popcount(left)
        live[kept] = U64(vector)
        kept += 1 if left else 0
    return kept


@jit
def _search(xs, ys, layers, one, two, bias, scaled, bits, small, n_nets, k0, k1, start, vectors, w, b, g, stream, acts,
            live, alive, counts, found, kept):
    """Adds to counts, writes to found from place `kept` on; the next free place. w to alive: scratch."""
    room, room_bias, stride = U64(w.size // vectors), U64(b.size // vectors), U64(stream.size // vectors)
    general = bits or scaled or bias > 0
    for done in range(0, n_nets, vectors * WIDTH):
        first, many = U64(start + done), min(vectors, (n_nets - done + WIDTH - 1) // WIDTH)
        for v in range(many):
            left = n_nets - done - v * WIDTH
            live[v] = U64(v)
            alive[v] = EVERY if left >= WIDTH else U32((U64(1) << U64(left)) - U64(1))
        if small:
            draws = (layers[0, NEURONS] * PAIR + 127) >> 7
            _draw(k0, k1, first, many, 0, draws, stream, U64(0), stride)
            _draw_word(k0, k1, first, many, 2, stream, U64(4 * draws) * V, stride)
            many = _show_small(xs, ys, layers, two, many, live, alive, stream, stride, draws, counts)
        else:
            for layer in range(layers.shape[0]):
                neurons = layers[layer, NEURONS]
                draws = (neurons * layers[layer, FIELD] + 127) >> 7
                _draw(k0, k1, first, many, 2 * layer, draws, stream, U64(0), stride)
                _weights(layers, layer, many, stream, stride, w, room)
                if bias > 0 or scaled:
                    _draw(k0, k1, first, many, 2 * layer + 1, (neurons + 3) >> 2, stream, U64(0), stride)
                    _biases(layers, layer, many, stream, stride, bias, scaled, b, g, room_bias)
            many = _show(xs, ys, layers, one, two, general, bits, live, many, alive, acts, w, room, b, g, room_bias,
                         counts)
        for place in range(many if kept < found.size else 0):
            v = np.int64(live[place])
            for l in range(WIDTH):
                if kept < found.size and (alive[v] >> U32(l)) & U32(1):
                    found[kept] = start + done + v * WIDTH + l
                    kept += 1
    return kept


def _facts(layout):
    """A row for each layer, and how many words and biases a network has."""
    rows, words, biases = [], 0, 0
    plain = not (layout.bits or layout.scaled or layout.bias)
    for layer, d_out in enumerate(layout.widths[1:]):
        d_in, field = layout.widths[layer], layout.field(layer)
        part = field if field == 64 or (field == PAIR and plain and d_out > 1) else 32
        each = sum(1 << j for j in range(0, 32, part))  # a one in each part of a word
        rows.append((d_in, d_out, field, part, d_in // 2 * each, words * WIDTH, biases * WIDTH,
                     (2 ** min(d_in, 32) - 1) * each, 2 ** max(d_in - 32, 0) - 1,
                     2 ** min(d_out, 32) - 1, 2 ** max(d_out - 32, 0) - 1))  # fmt: skip
        words, biases = words + (d_out * part + 31) // 32, biases + d_out
    return np.array(rows, np.int64), words, biases


def _small(layers):
    """Whether the words are those that were drawn, and few: d-h-1 with 9 to 16 inputs of up to 16 neurons."""
    return len(layers) == 2 and layers[0, PART] == PAIR and layers[0, NEURONS] <= PAIR and layers[1, NEURONS] == 1


def search(x, y, layout, n_nets, seed, start, keep):
    """Same contract as reference.search."""
    place = torch.arange(x.shape[1])
    both = (x.long() << place).sum(dim=1)
    samples = torch.stack([both & 0xFFFFFFFF, (both >> 32) & 0xFFFFFFFF], dim=1).numpy().astype(np.uint32)
    labels = np.where(y.numpy(), EVERY, U32(0))
    layers, words, biases = _facts(layout)
    small = _small(layers)
    longest = 4 * (-(-layout.widths[1] // 8) + 1) if small else 2 * max(layout.widths) + 4
    vectors = max(2, CACHE // (4 * (longest if small else words) * WIDTH) // 2 * 2)
    most = min(keep, n_nets)
    done = []  # a row for each thread: counts, found, and what it has found so far

    def scratch():
        room = [np.zeros(vectors * size * WIDTH, number) for size, number in (
            (words, np.uint32), (biases, np.float32), (biases, np.float32), (longest, np.uint32), (2, np.uint32))]
        room += [np.zeros(vectors, np.uint64), np.zeros(vectors, np.uint32)]
        room[2][:] = 1
        done.append([np.zeros(len(y) + 1, np.int64), np.empty(most, np.int64), 0])
        return room, done[-1]

    def part(first, last, begin, end, own):
        room, results = own
        results[2] = _search(
            samples, labels, layers, ONE, TWO, layout.bias, layout.scaled, layout.bits, small,
            min(last * WIDTH, n_nets) - first * WIDTH, U32(seed & 0xFFFFFFFF), U32(seed >> 32), start + first * WIDTH,
            vectors, *room, *results,
        )

    # Drawing the weights, and all samples, if all networks fit them.
    work = WIDTH * (max(layout.widths) + sum(layout.widths[1:]) * (42 + len(y)))
    _threads.share(part, -(-n_nets // WIDTH), work=work, scratch=scratch)
    counts, found = np.zeros(len(y) + 1, np.int64), np.full(keep, -1, np.int64)
    for some, _, _ in done:
        counts += some
    indices = np.sort(np.concatenate([np.empty(0, np.int64), *(some[:many] for _, some, many in done)]))[:keep]
    found[:len(indices)] = indices
    return torch.from_numpy(counts), torch.from_numpy(found)
