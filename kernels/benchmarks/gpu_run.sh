#!/bin/bash
# One run on a machine with a GPU, in at most six minutes; what was measured comes back even where a part fails or the
# run is killed. Nothing of ours is installed there: torch, triton, numba and pytest with its xdist and timeout are.
#
#     OUT=results bash kernels/benchmarks/gpu_run.sh [folder of wheels of peers]
#
# In $OUT: log.txt, gate.xml, and all.tgz with these, the result files, the ceilings and the variants; it is packed anew
# every ten seconds. LIMIT: seconds for all of it. IMPLICITLY_COMMIT: what is measured, where there is no git.
set -u
: "${OUT:?where the results go}"
cd "$(dirname "$0")/../.." || exit 1
mkdir -p "$OUT"
OUT=$(cd "$OUT" && pwd)
LIMIT=${LIMIT:-360}
kept=$(mktemp -d)
mkdir "$kept/all"
export PYTHONPATH=$PWD/kernels:$kept/site PYTHONUNBUFFERED=1
export TRITON_CACHE_DIR=$kept/triton TORCHINDUCTOR_CACHE_DIR=$kept/inductor
exec > >(tee "$OUT/log.txt") 2>&1

pack() {  # tar says with 1 that a file grew while it was read; under the old name lies the old archive until it is whole
    cp "$OUT/log.txt" "$kept/all/"
    tar -czf "$kept/all.tgz" -C "$kept/all" . ; cp "$kept/all.tgz" "$OUT/part" && mv "$OUT/part" "$OUT/all.tgz"
}
while sleep 10 > /dev/null 2>&1; do pack; done &  # a sleep that outlives the script keeps nothing of it open
packing=$!

nvidia-smi -L
python3 -c 'import torch, triton; print("torch", torch.__version__, "triton", triton.__version__)'
command -v gcc git || echo "no gcc, or no git"
if [ $# -gt 0 ]; then python3 -m pip install -q --no-index --no-deps --target "$kept/site" "$1"/*.whl; fi

# the gate: all ops at once; a red op is timed all the same, and marked
timeout 120 python3 -m pytest tests/kernels -m gpu -n 7 --dist loadfile -q --timeout 90 --tb short -p no:cacheprovider \
    --junitxml "$kept/all/gate.xml"
cp "$kept/all/gate.xml" "$OUT/gate.xml"

first="langevin sign_nets relu_gd relu_flow perm_gd nvfp4"
ops=$(python3 -c 'import sys; from implicitly_kernels._ops import ops
print(*sys.argv[1:], *(op for op in ops() if op not in sys.argv[1:]))' $first)

# benchmark SECONDS ARGUMENTS: one process for all ops, so that ceilings are measured once; a little past its time it is
# killed, and what it measured is there
benchmark() {
    local most=$1; shift
    [ "$most" -gt 10 ] || { echo "no time left for run.py $*"; return; }
    timeout $((most + 15)) python3 kernels/benchmarks/run.py --device cuda --gated "$kept/all/gate.xml" \
        --out "$kept/all" --ceilings "$kept/all/ceilings.json" --minutes "$(python3 -c "print($most / 60)")" "$@"
}
given() { printf -- '--op %s ' "$@"; }
missing() {
    local op; for op in $ops; do compgen -G "$kept/all/$op--*.json" > /dev/null || echo "$op"; done
}

benchmark $((LIMIT - 75 - SECONDS)) --peers plain $(given $ops)
# where a fault of one kernel took the GPU away from its process, or a kill came, the ops after it start afresh
again=$(missing)
[ -z "$again" ] || benchmark $((LIMIT - 75 - SECONDS)) --peers plain $(given $again)
if [ $SECONDS -gt $((LIMIT - 40)) ]; then echo "no time left for variants"; else
    timeout 60 python3 kernels/benchmarks/gpu_variants.py --out "$kept/all/variants.json"
fi
benchmark $((LIMIT - 15 - SECONDS)) --peers compile $(given $ops)  # torch.compile takes its time: last

kill $packing
wait $packing 2> /dev/null
pack
