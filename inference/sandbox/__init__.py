"""Decodes what strangers uploaded, in processes that can do nothing else.

`Decoder` is the worker's side. Below each worker process runs a zygote (`python -m inference.sandbox`), which has the
libraries imported, gives up what a decoder needs not have, and forks a child for each file; the child locks itself
down and only then sees a byte of the file. docs/security.md says against what that helps.
"""
