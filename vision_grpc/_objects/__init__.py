"""What is behind ``vision_grpc.objects``: what an object is, and the places that hold objects."""
