"""What is behind ``python -m vision_grpc.submit``: each module one step from the options to the files."""
