"""What is behind ``vision_grpc.job``: each module one of the things that happen while a job runs."""
