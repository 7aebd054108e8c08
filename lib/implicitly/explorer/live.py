"""An explorer in Jupyter: the page asks, the kernel computes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import anywidget
import numpy as np
import traitlets

if TYPE_CHECKING:
    from .widget import Explorer

_HERE = Path(__file__).parent
_LIVE = "\nexport default { render({ model, el }) { return Explorer.live(model, el); } };\n"


class Live(anywidget.AnyWidget):
    """The widget of an `Explorer`; each of its views numbers its own requests."""

    _esm = (_HERE / "explorer.js").read_text(encoding="utf-8") + _LIVE
    _css = (_HERE / "explorer.css").read_text(encoding="utf-8")
    spec = traitlets.Unicode().tag(sync=True)

    def __init__(self, explorer: Explorer, spec: dict):
        self.explorer = explorer
        super().__init__(spec=spec)
        self.on_msg(self._answer)

    def _answer(self, _widget, message, _buffers):
        """Compute at the reader's values; a failure is shown in the view that asked and raised here."""
        if not isinstance(message, dict) or message.get("kind") != "compute":
            return
        # every view hears every answer
        asked = {"view": message.get("view"), "number": message.get("number")}
        try:
            arrays = self.explorer.at(self.explorer._decode(message.get("params", {})))
        except BaseException as error:  # an interrupt is no Exception, and the view waits for an answer
            text = "It was interrupted." if isinstance(error, KeyboardInterrupt) else str(error) or repr(error)
            self.send({**asked, "kind": "error", "message": text})
            raise
        self.send(
            {**asked, "kind": "result", "names": list(arrays)},
            [np.ascontiguousarray(a, "<f4").tobytes() for a in arrays.values()],
        )
