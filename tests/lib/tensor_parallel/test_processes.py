"""Real processes: the same numbers as in one, and no process and no hang left behind when something goes wrong."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import rank_jobs
import torch
from rank_jobs import LONG

from implicitly import tensor_parallel as tp
from implicitly.tensor_parallel.processes import _verdict

F64 = torch.float64
SHAPE = tp.Shape(layers=2, width=36, heads=12, hidden=24, vocabulary=11, context=10)
WEIGHTS = tp.first_weights(SHAPE, 1, size=0.2)
TOKENS = torch.randint(11, (3, 9), generator=torch.Generator().manual_seed(0))
SHARES = (0, 10, 18, 36)


def setting(shared, **more):
    return dict(shape=SHAPE, weights=WEIGHTS, tokens=TOKENS, shared=shared) | more


def away(ranks, here):
    """Largest distance of gradients in processes from those in one process, over the largest gradient."""
    worst = 0.0
    for r, there in enumerate(ranks):
        for name, g in here["gradients"].items():
            mine = g if name in ("embedding", "positions") else g[r : r + 1]
            worst = max(worst, float((there["gradients"][name] - mine).abs().max() / g.abs().max()))
        for name, g in here["norms"].items():
            worst = max(worst, float((there["norms"][name] - g[r : r + 1]).abs().max() / g.abs().max()))
        worst = max(worst, abs(float(there["loss"] - here["loss"])))
    return worst


# 256 + 1 + 1 is 258, and in bfloat16, one after the other, 256
UNEVEN = torch.tensor([256.0, 1.0, 1.0]).reshape(3, 1, 1).expand(3, 2, 2).contiguous()
Z = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(3), dtype=F64)
TINY = tp.Shape(1, 16, 4, 16, 39, 8)
SLOW = 400  # seconds: what no start of processes takes, were the machine ever so slow; a fault sleeps longer
assert SLOW < LONG
MARK = f"IMPLICITLY_STARTED_BY={os.getpid()}"
PROC = Path("/proc")


def running():
    """Ids of all processes that these tests started and that still run, by the mark in their environment: those of
    torchrun, and those whose parents are gone, as well. Where there is no /proc, none."""
    found = []
    for folder in PROC.glob("[0-9]*"):
        try:
            if MARK.encode() in (folder / "environ").read_bytes().split(b"\0") and int(folder.name) != os.getpid():
                found.append(int(folder.name))
        except OSError:  # it has just ended, or is somebody else's
            continue
    return found


def before_long(true):
    """Whether `true()` comes true within a minute: much less than `LONG`."""
    end = time.monotonic() + 60
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


@pytest.fixture(scope="module", autouse=True)
def marked():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(*MARK.split("="))
        yield


@pytest.fixture(autouse=True)
def nothing_is_left(marked):
    """After each test, passed or failed, none of its processes runs; if one does, it is ended here and named."""
    yield
    before_long(lambda: not running())
    left = running()
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left



@pytest.fixture(scope="module")
def all_of_three():
    """Three processes: every share with the right backward pass and with each other rule."""
    settings = [setting(s, rule=rule, counted=rule == "adjoint") for s in SHARES for rule in tp.RULES]
    return tp.run_ranks(rank_jobs.three, 3, settings=settings, z=UNEVEN, timeout=SLOW)


@pytest.fixture(scope="module")
def three(all_of_three):
    """(shared, rule) -> what `gradients` found on each rank."""
    both = [(s, rule) for s in SHARES for rule in tp.RULES]
    return {key: [one["gradients"][i] for one in all_of_three] for i, key in enumerate(both)}


@pytest.fixture(scope="module")
def two():
    up, down = (torch.randn(*dims, generator=torch.Generator().manual_seed(1), dtype=F64)
                for dims in ((12, 8), (8, 12)))  # fmt: skip
    x = torch.randn(2, 3, 8, generator=torch.Generator().manual_seed(0), dtype=F64)
    return tp.run_ranks(rank_jobs.two, 2, z=Z, shared=6, shape=TINY, steps=4, mlp=dict(x=x, up=up, down=down),
                        timeout=SLOW)  # fmt: skip


@pytest.mark.parametrize("shared", SHARES)
@pytest.mark.parametrize("rule", ["adjoint", "before norm"])
def test_gradients_of_processes_are_those_of_one(three, shared, rule):
    here = tp.gradients(tp.OneProcess(3), **setting(shared))
    assert away(three[shared, rule], here) < 1e-12 or rule == "before norm"
    if rule == "before norm":  # its norms are complete in the shared channels, so only the other weights are compared
        for r, there in enumerate(three[shared, rule]):
            for name in ("0.qkv", "0.down", "1.up", "head"):
                assert torch.allclose(there["gradients"][name], here["gradients"][name][r : r + 1], atol=1e-12)


@pytest.mark.parametrize(("rule", "blind"), [("local", 0), ("pair", 36)])
def test_wrong_backward_passes_are_seen_but_for_one_share(three, rule, blind):
    for shared in SHARES:
        right = tp.gradients(tp.OneProcess(3), **setting(shared))["gradients"]["0.qkv"]
        off = max(float((there["gradients"]["0.qkv"][0] - here).norm() / here.norm())
                  for there, here in zip(three[shared, rule], right, strict=True))  # fmt: skip
        assert off < 1e-12 if shared == blind else off > 0.1


def test_what_is_sent_is_the_formula_by_three_counts(three):
    for shared in SHARES:
        formula = tp.step_elements(SHAPE.layers, TOKENS[:, 1:].numel(), SHAPE.width, shared)
        ranks = three[shared, "adjoint"]
        assert [one["sent"] for one in ranks] == [formula] * 3
        assert ranks[0]["torch"] == formula
        assert ranks[0]["calls"] == (4 * SHAPE.layers if shared else 0) + 4


def test_sums_of_slices_and_their_counts(two):
    for r, one in enumerate(two):
        found = one["sums"]
        assert torch.allclose(found["all"][0], Z[..., :2].sum(0), atol=1e-15)
        assert torch.equal(found["partial"], tp.OneProcess(2).partial_sum(Z, 2, 3.0)[r : r + 1])
        assert torch.equal(found["total"], Z[..., 0].sum(0, keepdim=True))
        assert torch.equal(found["max"], Z.amax(0, keepdim=True))
        assert [s.elements for s in found["sent"]] == [24, 24, 12, 60] and found["sent"][0].bytes == 192
        assert found["kept"]
        assert not torch.allclose(found["careless"][0], Z[..., :2].sum(0))  # what the copy in `_reduce` is for


def test_half_precision_gradients_are_added_up_in_float32(all_of_three):
    assert all(bool((one["half"] == 258).all()) for one in all_of_three)


def test_training_in_processes_is_training_in_one(two):
    here = rank_jobs.trained(tp.OneProcess(2), 6, TINY, 4)
    for r, there in enumerate(one["trained"] for one in two):
        assert torch.allclose(there["train"], here["train"], rtol=0, atol=1e-10)
        assert abs(there["test"] - here["test"]) < 1e-10
        for name in ("0.qkv", "0.norm", "head"):
            assert torch.allclose(there["weights"][name][0], here["weights"][name][r], rtol=0, atol=1e-8)


def test_torchs_own_plan_is_p_equal_to_one(two):
    for ours, torchs in (one["plans"] for one in two):
        for name in ours:
            assert torch.allclose(ours[name], torchs[name], rtol=1e-12, atol=1e-14), name


def alive(pid):
    """Whether it runs; one that has ended and that nobody has asked about yet (a zombie) does not."""
    if PROC.exists():
        try:
            return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
        except OSError:
            return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def ids(folder):
    """The ids that `rank_jobs.dies` left in this folder."""
    return [int(text) for text in (file.read_text() for file in folder.iterdir()) if text]


@pytest.mark.skipif(not PROC.exists(), reason="only Linux shows the environment of a process")
def test_a_process_that_is_left_is_seen():
    left = subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({LONG})"])
    try:
        assert running() == [left.pid] and alive(left.pid)
    finally:
        left.kill()
    # It has ended and not been waited for: neither sees it.
    assert before_long(lambda: not running() and not alive(left.pid))
    left.wait()


def test_a_killed_rank_ends_with_a_message_and_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError, match="rank 1 of 3 was ended by SIGKILL"):
        tp.run_ranks(rank_jobs.dies, 3, rank=1, folder=str(tmp_path), timeout=SLOW)
    # Counted from the killed rank's last word, not from the start of Python, which may take long.
    assert time.time() - (tmp_path / "1").stat().st_mtime < 60
    assert len(ids(tmp_path)) == 3 and not any(map(alive, ids(tmp_path)))


def test_an_error_of_a_rank_is_passed_on():
    with pytest.raises(RuntimeError, match=r"rank 1 of 2 failed[\s\S]*one rank has had enough"):
        tp.run_ranks(rank_jobs.raises, 2, timeout=SLOW)


def test_the_first_error_is_told_and_a_signal_before_all(tmp_path):
    class Ended:
        def __init__(self, code):
            self.poll = lambda: code

    (tmp_path / "error-0").write_text("2001\nlost its neighbour")
    (tmp_path / "error-1").write_text("1999\nhad enough")
    both = _verdict([Ended(1), Ended(1)], tmp_path)
    assert both == "rank 1 of 2 failed; the others were stopped.\nhad enough"
    assert "rank 2 of 3 was ended by SIGKILL" in _verdict([Ended(1), Ended(1), Ended(-9)], tmp_path)


def test_time_is_up():
    with pytest.raises(TimeoutError, match=r"ranks \[0\] of 1 were not done after 0.5 s"):
        tp.run_ranks(rank_jobs.sleeps, 1, timeout=0.5)


def on_a_port_once_taken(z):
    """A port while it is taken, and what one process does there when it is free again."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(RuntimeError, match=f"port {port} on 127.0.0.1 cannot be had"):
            tp.run_ranks(rank_jobs.sleeps, 2, port=port)
    return tp.run_ranks(rank_jobs.sums, 1, z=z, port=port, timeout=SLOW)


def test_a_taken_port_is_named_and_a_free_one_works():
    z = torch.ones(1, 1, 1, 2)
    for again in (True, True, False):  # another program may have taken the port as soon as it was free
        try:
            found = on_a_port_once_taken(z)
            break
        except RuntimeError:
            if not again:
                raise
    assert found[0]["kept"]


def test_a_lone_function_cannot_be_a_job():
    with pytest.raises(ValueError, match="job must be a function of a module"):
        tp.run_ranks(lambda wires: 1, 1)


def test_the_processes_end_with_the_one_that_started_them(tmp_path):
    code = (f"import sys; sys.path[:0] = [{str(Path(__file__).parent)!r}]; import rank_jobs\n"
            "from implicitly import tensor_parallel as tp\n"
            f"tp.run_ranks(rank_jobs.dies, 2, rank=7, folder={str(tmp_path)!r}, timeout={SLOW})")  # fmt: skip
    starter = subprocess.Popen([sys.executable, "-c", code])
    try:
        while len(ids(tmp_path)) < 2:
            assert starter.poll() is None  # it ends by itself only when it fails, at the latest after SLOW seconds
            time.sleep(0.1)
    finally:
        starter.kill()
        starter.wait()
    assert before_long(lambda: not any(map(alive, ids(tmp_path))))


def test_the_script_runs_under_torchrun():
    line = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
            "-m", "implicitly.tensor_parallel.launch", "--p", "0.5", "--steps", "2", "--width", "16", "--heads", "2",
            "--hidden", "16", "--layers", "1"]  # fmt: skip
    # A machine whose name has no address can still talk to itself.
    alone = os.environ | ({"GLOO_SOCKET_IFNAME": "lo"} if sys.platform.startswith("linux") else {})
    done = subprocess.run(line, capture_output=True, text=True, timeout=SLOW, check=False, env=alone)
    assert done.returncode == 0, done.stderr[-2000:]
    said = r"2 ranks, p = 0.5: test loss [34]\.\d+ nats a character, .* MB added up by each rank"
    assert re.search(said, done.stdout)
