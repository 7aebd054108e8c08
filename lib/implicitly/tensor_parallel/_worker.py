"""A process of `run_ranks`: ``python -m implicitly.tensor_parallel._worker FOLDER RANK PARENT``."""

import datetime
import os
import sys
import threading
import time
import traceback
from importlib import import_module
from pathlib import Path


def _follow(parent: int) -> None:
    """End this process when the one that started it is gone."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def main(folder: Path, rank: int, parent: int) -> None:
    """Join the group, call the job, save what it returns; an error is left in a file with its time."""
    if os.name == "posix":
        threading.Thread(target=_follow, args=(parent,), daemon=True).start()
    import torch
    from torch import distributed as dist

    torch.set_num_threads(1)
    task = torch.load(folder / "job.pt", weights_only=False)
    sys.path.extend(p for p in task["path"] if p not in sys.path)
    try:
        dist.init_process_group("gloo", init_method=task["meet"], rank=rank, world_size=task["ranks"],
                                timeout=datetime.timedelta(seconds=task["timeout"]))  # fmt: skip
        from .processes import Processes

        job = import_module(task["job"][0])
        for part in task["job"][1].split("."):
            job = getattr(job, part)
        torch.save(job(Processes(), **task["given"]), folder / f"result-{rank}.pt")
        dist.barrier()  # nobody leaves while another one still listens
        dist.destroy_process_group()
    except BaseException:
        # The time is taken before this process ends, and with it the others' wait for it: the first error is the cause.
        # File times would not tell, they are coarse; and the launcher must not find half a file.
        said, part = f"{time.monotonic_ns()}\n{traceback.format_exc(limit=-4)}", folder / f"part-{rank}"
        part.write_text(said)
        part.replace(folder / f"error-{rank}")
        os._exit(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
