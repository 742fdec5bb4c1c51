"""Run as a process by `inference.sandbox.decoder`."""

from inference.sandbox.zygote import main

main()
