import os

# Before gRPC is loaded, which would write its own lines about a failed handshake around the one that we print.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
