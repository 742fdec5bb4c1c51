"""NVIDIA Triton on this machine: its environment, its model repository, its process, its client."""
