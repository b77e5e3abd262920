"""REST on the embedded server: its parts without a server, and the server over plain HTTP."""
