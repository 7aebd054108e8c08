"""Valid calls of `implicitly.equivariance.digit_nets`."""

from calls import Call
from implicitly.equivariance import Design

NETS = "implicitly.equivariance.digit_nets."

CALLS = {
    NETS + "digit_images": Call(lambda: dict(part="test")),
    NETS + "train_digit_net": Call(
        lambda: dict(design=Design(), seed=0, steps=3, width=4, batch=2, rate=1e-3, until=1),
        accepts={"seed": "zero", "until": "none", "rate": "size"},
    ),
    NETS + "stored_digit_nets": Call(lambda: dict(name="strided, softmax", steps=400)),
}
