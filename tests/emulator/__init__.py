"""The embedded server, judged over real gRPC by the generated stubs alone."""
