"""Import this before torch: the same instructions on every machine.

torch's matrix products and convolutions add in another order with AVX-512 than with AVX2, and 8-bit values that lie on an edge then fall to the
other side. The committed pictures are AVX2's. One thread, because the number of threads changes the order too.
"""
import os

os.environ["ATEN_CPU_CAPABILITY"] = "avx2"
os.environ["ONEDNN_MAX_CPU_ISA"] = "AVX2"
os.environ["MKL_ENABLE_INSTRUCTIONS"] = "AVX2"
os.environ["OMP_NUM_THREADS"] = "1"
