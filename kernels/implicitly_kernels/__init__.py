"""Implicitly's kernels: each hot loop of the book as one call. Importing needs torch alone."""

from implicitly_kernels._dispatch import available_backends
from implicitly_kernels.kaczmarz import kaczmarz
from implicitly_kernels.langevin import Polynomial, TanhNet, langevin
from implicitly_kernels.lba_gemm import lba_events, lba_gemm, lba_quantize, lba_trace
from implicitly_kernels.low_rank_adam import low_rank_adam, low_rank_realign
from implicitly_kernels.nvfp4 import (
    mxfp4_dequantize,
    mxfp4_qdq,
    mxfp4_quantize,
    nvfp4_dequantize,
    nvfp4_global_scale,
    nvfp4_qdq,
    nvfp4_quantize,
)
from implicitly_kernels.perm_gd import perm_gd
from implicitly_kernels.relu_flow import relu_flow
from implicitly_kernels.relu_gd import relu_gd
from implicitly_kernels.sign_nets import sign_nets, sign_nets_predict, sign_nets_weights
from implicitly_kernels.up_act_down import resample_matrix, up_act_down
from implicitly_kernels.xca import cross_covariance_attention

__all__ = [
    "Polynomial", "TanhNet", "available_backends", "cross_covariance_attention", "kaczmarz", "langevin",
    "lba_events", "lba_gemm", "lba_quantize", "lba_trace", "low_rank_adam", "low_rank_realign",
    "mxfp4_dequantize", "mxfp4_qdq", "mxfp4_quantize",
    "nvfp4_dequantize", "nvfp4_global_scale", "nvfp4_qdq", "nvfp4_quantize",
    "perm_gd",
    "relu_flow", "relu_gd", "resample_matrix",
    "sign_nets", "sign_nets_predict", "sign_nets_weights",
    "up_act_down",
]
