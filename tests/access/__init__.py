"""Who calls and over what: credentials, channels and their lifetime, against a token server and a TLS server on loopback."""
