"""What is behind ``vision_grpc.report``: an image's facts, its thumbnail, and the page."""
