"""Langevin dynamics: training at a temperature, exact laws on the way, and bounds for the generalization gap."""

from .chains import (
    langevin_step,
    mala_step,
    path_budget,
    reflect,
    run_chains,
)
from .digit_nets import (
    TanhNet,
    langevin_run,
)
from .markov import (
    Ledger,
    diffusion_laws,
    gibbs,
    kl,
    ledger,
    metropolis_line,
    random_cycles,
    spectral_gap,
)
from .ornstein_uhlenbeck import (
    OrnsteinUhlenbeck,
    gauss_kl,
)
from .pac_bayes import (
    binary_kl,
    hoeffding_moment,
    kl_inverse,
    maurer_constant,
    pac_bayes_bound,
)
from .rules import (
    rule_errors,
    rule_failures,
    train_rules,
)

__all__ = [
    "Ledger",
    "OrnsteinUhlenbeck",
    "TanhNet",
    "binary_kl",
    "diffusion_laws",
    "gauss_kl",
    "gibbs",
    "hoeffding_moment",
    "kl",
    "kl_inverse",
    "langevin_run",
    "langevin_step",
    "ledger",
    "mala_step",
    "maurer_constant",
    "metropolis_line",
    "pac_bayes_bound",
    "path_budget",
    "random_cycles",
    "reflect",
    "rule_errors",
    "rule_failures",
    "run_chains",
    "spectral_gap",
    "train_rules",
]
