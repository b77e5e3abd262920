"""The tests: one file a module, real gRPC on loopback."""
