"""Valid calls of `implicitly.langevin`."""

from calls import Call

CALLS = {
    "implicitly.langevin.pac_bayes.binary_kl": Call(
        lambda: dict(q=0.3, p=0.4), accepts={"q": "zero size", "p": "zero size"}
    ),
    "implicitly.langevin.pac_bayes.hoeffding_moment": Call(
        lambda: dict(lam=2.5, N=10, p=0.3), accepts={"lam": "sign zero size", "p": "zero size"}
    ),
    "implicitly.langevin.pac_bayes.kl_inverse": Call(
        lambda: dict(q=0.1, c=0.2), accepts={"q": "zero size", "c": "zero size"}
    ),
    "implicitly.langevin.pac_bayes.maurer_constant": Call(lambda: dict(N=10, p=0.3), accepts={"p": "none size"}),
    "implicitly.langevin.pac_bayes.pac_bayes_bound": Call(
        lambda: dict(K=3.0, N=100, delta=0.05, form="maurer"), accepts={"K": "zero size", "delta": "size"}
    ),
}
