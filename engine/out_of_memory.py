"""How an error says that memory ran out: PyTorch has a class for most of it, and libraries and drivers only words."""

from __future__ import annotations

_WORDS = (
    "out of memory",  # CUDA's and HIP's allocators, the driver ("CUDA error: out of memory"), "MPS backend out of …"
    "allocate memory",  # the processor's: "can't allocate memory", and ONNX runtime's "failed to allocate memory"
    "failed to allocate",
    "not enough memory: you tried to allocate",  # the processor's on Windows
    "cublas_status_alloc_failed",
    "cudnn_status_alloc_failed",
    "cusolver_status_alloc_failed",
    "calling `cublascreate(handle)`",  # CUBLAS_STATUS_NOT_INITIALIZED: its workspace did not fit
    "nvml_success == r",  # PyTorch's allocator, on its way to say it, in a container that hides the driver's figures
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` means that a graphics card's memory, or the computer's, did not suffice."""
    if isinstance(error, MemoryError) or any(kind.__name__ == "OutOfMemoryError" for kind in type(error).__mro__):
        return True  # torch's class by its name: who asks need not have torch
    words = str(error).lower()
    return isinstance(error, Exception) and any(sign in words for sign in _WORDS)
