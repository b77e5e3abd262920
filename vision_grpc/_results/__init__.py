"""What is behind ``vision_grpc.results``: shards found and read, responses joined to their inputs."""
