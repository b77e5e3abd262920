"""What is behind ``vision_grpc.ledger``: its file, the one writer's lock, its rows, and reading it."""
