"""Other people's clients against our server, and our clients against other people's server."""
