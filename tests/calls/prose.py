"""Valid calls of `implicitly.prose`."""

from calls import Call

#: Any finite number may be quoted.
NUMBER = "sign zero size number list dtype ints"

CALLS = {
    "implicitly.prose.glue": Call(
        lambda: dict(name="a-name", value=0.25, spec=".2f"),
        accepts={"name": "any", "value": NUMBER, "spec": "none"},
    ),
}
