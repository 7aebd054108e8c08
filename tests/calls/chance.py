"""Valid calls of `implicitly.chance`."""

from calls import Call

CALLS = {
    "implicitly.chance.allowance": Call(
        lambda: dict(p=0.3, n=1000, false_alarm=1e-6), accepts={"p": "zero size", "false_alarm": "size"}
    ),
}
